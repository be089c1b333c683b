import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** A file system that can be full. */
export interface SmallDisk {
  directory: string;
  /** Leaves not a byte. */
  fill(): void;
  empty(): void;
  remove(): void;
}

const MEGABYTES = 200;
/** What containers that may not mount anything have instead: of 64 MB unless somebody asked for more. */
const SHARED_MEMORY = '/dev/shm';

const BLOCK = Buffer.alloc(64 * 1024);

/**
 * One of its own, which takes the right to mount: root, or sudo without a password.
 * @param owner whom the directory belongs to, by a path of theirs
 */
export function openSmallDisk(owner: string): SmallDisk {
  // PostgreSQL reaches it by its own account, which may not enter the directory of the test.
  const mounted = mkdtempSync('/tmp/gatehouse-disk-');
  try {
    asRoot('mount', ['-t', 'tmpfs', '-o', `size=${MEGABYTES}m`, 'gatehouse-test', mounted]);
  } catch (cause) {
    rmdirSync(mounted);
    const { bsize, blocks } = statfsSync(SHARED_MEMORY);
    if (bsize * blocks > MEGABYTES * 2 ** 20)
      throw new Error(`a small disk cannot be mounted, and ${SHARED_MEMORY} is large`, { cause });
    const shared = mkdtempSync(join(SHARED_MEMORY, 'gatehouse-disk-'));
    chmodSync(shared, 0o711);
    return smallDisk(shared, owner, () => rmSync(shared, { recursive: true }));
  }
  return smallDisk(mounted, owner, () => {
    asRoot('umount', ['--lazy', mounted]);
    rmdirSync(mounted);
  });
}

function smallDisk(directory: string, owner: string, remove: () => void): SmallDisk {
  const { uid, gid } = statSync(owner);
  const data = join(directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  chownSync(data, uid, gid);
  const filler = join(directory, 'filler');

  return {
    directory: data,
    fill() {
      writeFileSync(filler, '');
      const file = openSync(filler, 'a');
      try {
        for (let size = BLOCK.length; size >= 1; ) {
          try {
            writeSync(file, BLOCK, 0, size);
          } catch (err) {
            if (!(err instanceof Error && 'code' in err && err.code === 'ENOSPC')) throw err;
            size = Math.floor(size / 2);
          }
        }
      } finally {
        closeSync(file);
      }
    },
    empty: () => unlinkSync(filler),
    remove,
  };
}

function asRoot(program: string, args: readonly string[]): void {
  if (process.getuid?.() === 0) execFileSync(program, args, { stdio: 'pipe' });
  else execFileSync('sudo', ['-n', program, ...args], { stdio: 'pipe' });
}
