/**
 * The PHC string format of argon2id hashes, as far as Gatehouse's own go. Its digest part is peppered, so no other
 * program can verify one, nor could this one verify another's.
 */

export interface Argon2Parameters {
  memoryKib: number;
  passes: number;
  lanes: number;
}

export interface PhcHash {
  parameters: Argon2Parameters;
  salt: Buffer;
  /** 32 bytes. */
  digest: Buffer;
}

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43})$/;

export function formatPhc({ parameters, salt, digest }: PhcHash): string {
  const { memoryKib, passes, lanes } = parameters;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(digest)}`;
}

/** @throws {Error} for anything else: a damaged row is a fault to repair, not a wrong password */
export function parsePhc(text: string): PhcHash {
  const [, memoryKib, passes, lanes, salt, digest] = PHC.exec(text) ?? [];
  if (!memoryKib || !passes || !lanes || !salt || !digest) {
    // Never the text itself: it is a password hash.
    throw new Error('a stored password is not an argon2id hash in PHC format');
  }
  return {
    parameters: { memoryKib: Number(memoryKib), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    digest: Buffer.from(digest, 'base64'),
  };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
