import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * The program browser tests drive; on Debian it is installed if it is missing and that needs no question.
 * @returns its path
 */
export function ensureBrowser(): string {
  const found = findBrowser() ?? (install('chromium') ? findBrowser() : undefined);
  if (found === undefined) {
    throw new Error(
      'The browser tests need Chromium: install it (`apt-get install chromium`), or set CHROMIUM_PATH to its program.',
    );
  }
  return found;
}

function findBrowser(): string | undefined {
  return [process.env['CHROMIUM_PATH'], ...PROGRAMS].find((path) => path && existsSync(path));
}

/** Redis is real in tests: the program is installed if it is missing. */
export function ensureRedis(): void {
  const isThere = () => runs(['redis-server', '--version'], 'ignore');
  if (isThere() || (install('redis-server') && isThere())) return;
  throw new Error('The tests need Redis: install it (`apt-get install redis-server`).');
}

/** On Debian, where that needs no question. */
function install(name: string): boolean {
  const become = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (!runs([...become, 'apt-get', '--version'], 'ignore')) return false;

  console.log(`Installing ${name} for the tests…`);
  const aptGet = [
    ...become,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-q',
    '-o',
    'DPkg::Lock::Timeout=300',
  ];
  return (
    runs([...aptGet, 'update'], 'inherit') &&
    runs([...aptGet, 'install', '-y', '--no-install-recommends', name], 'inherit')
  );
}

function runs([program = '', ...args]: string[], output: 'ignore' | 'inherit'): boolean {
  return spawnSync(program, args, { stdio: ['ignore', output, output] }).status === 0;
}
