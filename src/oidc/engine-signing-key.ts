import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { ExternalSigningKey } from 'oidc-provider';
import type { PrivateJwk, SigningAlg } from '../keys/signing-key.ts';

const signInThreadPool = promisify(sign);

/**
 * A signing key as the protocol engine uses it (docs/adr/0015). By itself the engine hands every signature to
 * WebCrypto and so to another thread. That pays for RSA; of a signature on a curve, handing over and waking up
 * cost more than the signature.
 */
export class EngineSigningKey extends ExternalSigningKey {
  readonly #kid: string;
  readonly #alg: SigningAlg;
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  constructor(jwk: PrivateJwk) {
    super();
    this.#kid = jwk.kid;
    this.#alg = jwk.alg;
    this.#private = createPrivateKey({ key: { ...jwk }, format: 'jwk' });
    this.#public = createPublicKey(this.#private);
  }

  override get kid(): string {
    return this.#kid;
  }

  override get alg(): SigningAlg {
    return this.#alg;
  }

  /** For publishing and verifying. */
  override keyObject(): KeyObject {
    return this.#public;
  }

  /** @returns the signature as JWS has it (RFC 7518 §3, RFC 8037 §3.1) */
  override sign(data: Uint8Array): Promise<Uint8Array> | Uint8Array {
    switch (this.#alg) {
      case 'RS256':
        return signInThreadPool('sha256', data, this.#private);
      case 'ES256':
        return toFixedLength(sign('sha256', data, this.#private));
      case 'EdDSA':
        return sign(null, data, this.#private);
    }
  }
}

/** Of one of the two numbers of a P-256 signature, in bytes. */
const NUMBER_LENGTH = 32;

/**
 * A signature as two numbers of fixed length (RFC 7518 §3.4), from the DER that OpenSSL makes: a sequence of
 * two integers, each without leading zeros but with one where its first bit is set (X.690 §8.3). Node does
 * this as well when it is asked to (`dsaEncoding`), and takes longer for it than for the signature.
 */
function toFixedLength(der: Buffer): Buffer {
  const numbers = Buffer.alloc(2 * NUMBER_LENGTH);
  // Tag and length of the sequence; all of it is shorter than 128 bytes, so every length is one byte.
  let offset = 2;
  for (const end of [NUMBER_LENGTH, 2 * NUMBER_LENGTH]) {
    const length = der.readUInt8(offset + 1);
    const next = offset + 2 + length;
    const kept = Math.min(length, NUMBER_LENGTH);
    der.copy(numbers, end - kept, next - kept, next);
    offset = next;
  }
  return numbers;
}
