import assert from 'node:assert/strict';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import Koa from 'koa';
import { createCookieSigner } from '../../src/http/cookie-signer.ts';

describe('the signature of cookies', () => {
  const [older, newer] = ['an older key of the operator', 'a newer key of the operator'];

  it('is the one that Koa makes by itself, so that servers with and without it share their cookies', () => {
    const keygrip = keygripOf([newer, older]);
    const signer = createCookieSigner([newer, older]);

    for (const data of ['session=abc', 'session=', 'naïve=ünï', 'x='.repeat(500)]) {
      assert.equal(signer.sign(data), keygrip.sign(data));
      assert.equal(signer.verify(data, keygrip.sign(data)), true);
      assert.equal(keygrip.verify(data, signer.sign(data)), true);
    }
  });

  it('is made with the newest key and verified with all', () => {
    const signer = createCookieSigner([newer, older]);

    assert.equal(signer.index('session=abc', createCookieSigner([newer]).sign('session=abc')), 0);
    assert.equal(signer.index('session=abc', createCookieSigner([older]).sign('session=abc')), 1);
    assert.equal(signer.sign('session=abc'), createCookieSigner([newer]).sign('session=abc'));
  });

  it('holds for nothing but its own data, whole and spelt as it was made', () => {
    const signer = createCookieSigner([newer, older]);
    const signature = signer.sign('session=abc');

    assert.equal(signer.index('session=abd', signature), -1);
    for (const forged of ['', signature.slice(1), `${signature}=`, `${signature}A`, 'ü'.repeat(27)])
      assert.equal(signer.index('session=abc', forged), -1, forged);
    assert.equal(createCookieSigner(['somebody else']).verify('session=abc', signature), false);
  });

  it('cannot be made without a key', () => {
    assert.throws(() => createCookieSigner([]), TypeError);
  });
});

/** The signer that Koa makes of plain keys. */
function keygripOf(keys: string[]) {
  const app = new Koa();
  app.keys = keys;
  const req = new IncomingMessage(new Socket());
  const { cookies } = app.createContext(req, new ServerResponse(req));
  return Reflect.get(cookies, 'keys') as ReturnType<typeof createCookieSigner>;
}
