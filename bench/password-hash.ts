import { randomBytes } from 'node:crypto';
import { hashRaw } from '@node-rs/argon2';
import { keepHashersApart } from './cores.ts';
import { drive } from './driver.ts';

/** As Gatehouse hashes; see src/users/password-hasher.ts. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 };

/** What the password hash alone allows, with nothing else to do: no sign-in can be faster. */
export async function hashesPerSecond({
  concurrency,
  seconds,
}: {
  concurrency: number;
  seconds: number;
}): Promise<number> {
  const password = Buffer.from('correct horse battery staple');
  const hashOnce = async () => {
    await hashRaw(password, { ...PARAMETERS, salt: randomBytes(16) });
  };
  // The first one starts the threads, which then get the cores they have with a server around them.
  await hashOnce();
  const letGo = keepHashersApart([], concurrency);
  const measured = await drive(Array<typeof hashOnce>(concurrency).fill(hashOnce), {
    warmUpSeconds: 0.2,
    seconds,
  }).finally(letGo);
  return measured.operations / measured.seconds;
}
