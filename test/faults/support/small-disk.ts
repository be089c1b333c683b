import { execFileSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
  openSync,
  rmdirSync,
  closeSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** A file system of its own that can be full. Mounting it needs root, or sudo without a password. */
export interface SmallDisk {
  directory: string;
  /** Leaves not a byte. */
  fill(): void;
  empty(): void;
  remove(): void;
}

const BLOCK = Buffer.alloc(64 * 1024);

/** @param owner whom the directory belongs to, by a path of theirs */
export function mountSmallDisk(directory: string, megabytes: number, owner: string): SmallDisk {
  mkdirSync(directory, { recursive: true });
  asRoot('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'gatehouse-test', directory]);
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
    remove() {
      asRoot('umount', ['--lazy', directory]);
      rmdirSync(directory);
    },
  };
}

function asRoot(program: string, args: readonly string[]): void {
  if (process.getuid?.() === 0) execFileSync(program, args);
  else execFileSync('sudo', ['-n', program, ...args]);
}
