import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import { compactVerify, CompactSign, importJWK } from 'jose';
import { generateSigningJwk } from '../../src/keys/key-material.ts';
import { SIGNING_ALGS } from '../../src/keys/signing-key.ts';
import { EngineSigningKey } from '../../src/oidc/engine-signing-key.ts';

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a signing key of the engine', () => {
  for (const alg of SIGNING_ALGS) {
    it(`makes ${alg} signatures that others verify, as long as theirs`, async () => {
      const jwk = await generateSigningJwk(alg);
      const key = new EngineSigningKey(jwk);
      const signed = `${encode({ alg })}.${encode({ sub: 'x' })}`;

      const signature = Buffer.from(await key.sign(Buffer.from(signed))).toString('base64url');

      const { payload } = await compactVerify(`${signed}.${signature}`, key.keyObject());
      const theirs = await new CompactSign(payload)
        .setProtectedHeader({ alg })
        .sign(await importJWK({ ...jwk }, alg));
      assert.equal(Buffer.from(payload).toString(), '{"sub":"x"}');
      assert.equal(signature.length, theirs.split('.')[2]?.length);
    });

    it(`shows of a ${alg} key only what is public`, async () => {
      const jwk = await generateSigningJwk(alg);
      const key = new EngineSigningKey(jwk);

      assert.equal(key.keyObject().type, 'public');
      assert.deepEqual([key.kid, key.alg, key.kty], [jwk.kid, alg, jwk.kty]);
      assert.equal(JSON.stringify(key).includes(jwk.d), false);
    });
  }

  it('pads numbers of ES256 signatures that happen to be short', async () => {
    const key = new EngineSigningKey(await generateSigningJwk('ES256'));
    let short = 0;

    // One in 256 of these numbers begins with a zero byte, and one in two has its first bit set.
    for (let count = 0; count < 2000; count += 1) {
      const data = Buffer.from(`message ${count}`);
      const signature = Buffer.from(await key.sign(data));
      const isRight = verify('sha256', data, { key: key.keyObject(), dsaEncoding: 'ieee-p1363' }, signature);
      assert.ok(isRight && signature.length === 64, signature.toString('hex'));
      if (signature[0] === 0 || signature[32] === 0) short += 1;
    }

    assert.ok(short > 0);
  }).timeout(20_000);
});
