import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

interface LineCoverage {
  total: number;
  covered: number;
}

// What an attacker aims at is tested closer than the rest.
const CRITICAL = ['oidc', 'users', 'mfa', 'federation', 'keys', 'access'];
const CRITICAL_PERCENT = 90;
const OVERALL_PERCENT = 80;

/**
 * Prints the covered lines of each folder of src/; details are in coverage/.
 * @param raw where V8 left its coverage, of the tests and of every server they started
 * @returns how many thresholds were missed
 */
export async function reportCoverage(root: string, raw: string): Promise<number> {
  const c8 = join(root, 'node_modules/c8/bin/c8.js');
  const args = [c8, 'report', '--temp-directory', raw];
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error('c8 could not report the coverage');

  const summary: Record<string, { lines: LineCoverage }> = JSON.parse(
    await readFile(join(root, 'coverage/coverage-summary.json'), 'utf8'),
  );
  const folders = Map.groupBy(
    Object.entries(summary).filter(([file]) => file !== 'total'),
    ([file]) => folderOf(relative(join(root, 'src'), file)),
  );

  let missed = 0;
  const report = (name: string, lines: readonly LineCoverage[], wanted: number) => {
    const percent = percentOf(lines);
    if (percent < wanted) missed += 1;
    console.log(
      `${name.padEnd(20)} ${percent.toFixed(1).padStart(5)} %${percent < wanted ? `  below ${wanted} %` : ''}`,
    );
  };
  console.log('\nCovered lines');
  for (const [folder, files] of [...folders].sort(([a], [b]) => a.localeCompare(b))) {
    report(
      folder,
      files.map(([, { lines }]) => lines),
      CRITICAL.includes(folder) ? CRITICAL_PERCENT : 0,
    );
  }
  report('all of src', summary['total'] ? [summary['total'].lines] : [], OVERALL_PERCENT);
  return missed;
}

function folderOf(path: string): string {
  const [first = '', ...rest] = path.split('/');
  return rest.length > 0 ? first : '(top)';
}

function percentOf(lines: readonly LineCoverage[]): number {
  const total = lines.reduce((sum, file) => sum + file.total, 0);
  const covered = lines.reduce((sum, file) => sum + file.covered, 0);
  return total === 0 ? 100 : (100 * covered) / total;
}
