import { hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { hashSync } from 'bcryptjs';
import { md5Crypt, shaCrypt } from './crypt-algorithms.ts';
import type { SlowHash } from './slow-hashes.ts';

/** The thread of `slow-hashes.ts`: one hash after another, in JavaScript. */
parentPort?.on('message', ({ id, password, how }: { id: number; password: string; how: SlowHash }) => {
  try {
    parentPort?.postMessage({ id, digest: digestOf(password, how) });
  } catch (err) {
    parentPort?.postMessage({ id, error: err instanceof Error ? err.message : 'unknown error' });
  }
});

function digestOf(password: string, how: SlowHash): string {
  const bytes = Buffer.from(password, 'utf8');
  switch (how.scheme) {
    case 'bcrypt': {
      const text = how.prehash ? hash('sha256', bytes, 'hex') : password;
      return hashSync(text, `$2b$${String(how.cost).padStart(2, '0')}$${how.salt}`).slice(29);
    }
    case 'md5-crypt':
      return md5Crypt(bytes, Buffer.from(how.salt), how.magic);
    case 'sha-crypt':
      return shaCrypt(how.digest, bytes, Buffer.from(how.salt), how.rounds);
  }
}
