import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../src/lib/errors.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';

const policy = createPasswordPolicy({ minLength: 15 });

async function faultsOf(password: string, context = {}, checked = policy): Promise<string[]> {
  try {
    await checked.check(password, context);
    return [];
  } catch (err) {
    assert.ok(err instanceof AppError);
    assert.equal(err.code, 'password.unacceptable');
    assert.equal(err.status, 400);
    assert.ok(err.errors.every(({ path }) => path === '/password'));
    return err.errors.map(({ message }) => message);
  }
}

describe('password policy', () => {
  it('asks for 15 characters and says how many there are', async () => {
    assert.deepEqual(await faultsOf('mossylanternx9'), ['Use at least 15 characters; this has 14.']);
    assert.deepEqual(await faultsOf('mossylanternx92'), []);
  });

  it('counts characters, not bytes or UTF-16 units', async () => {
    assert.equal(
      (await faultsOf('\u{1f98a}\u{1f427}\u{1f335}\u{1f30b}\u{1f6f6}\u{1f3ba}\u{1f9c2}\u{1f9ed}')).length,
      1,
    );
    assert.deepEqual(
      await faultsOf(
        '\u6708\u5149\u7167\u5728\u6d77\u9762\u4e0a\u7684\u53e4\u8001\u706f\u5854\u65c1\u8fb9\u5440',
      ),
      [],
    );
  });

  it('takes its minimum from the operator', async () => {
    const short = createPasswordPolicy({ minLength: 8 });

    await assert.rejects(short.check('mossy47', {}), { code: 'password.unacceptable' });
    await short.check('mossy47x', {});
    assert.match(short.hint, /8 characters/);
  });

  it('asks for 8 characters beside a second factor, and says so in the same words', async () => {
    const both = createPasswordPolicy({ minLength: 15, minLengthWithSecondFactor: 8 });

    assert.deepEqual(await faultsOf('velum4', { hasSecondFactor: true }, both), [
      'Use at least 8 characters; this has 6.',
    ]);
    assert.deepEqual(await faultsOf('mossy47x', { hasSecondFactor: true }, both), []);
    assert.equal((await faultsOf('mossy47x', {}, both)).length, 1);
    assert.equal(both.rulesFor({ hasSecondFactor: true }).minLength, 8);
    assert.equal(both.rulesFor({ hasSecondFactor: true }).hint, both.hint.replace('15', '8'));
  });

  it('accepts 64 and 256 characters and refuses 257', async () => {
    const words = 'mossy lantern orbit velvet harbour tundra '.repeat(10);

    assert.deepEqual(await faultsOf(words.slice(0, 64)), []);
    assert.deepEqual(await faultsOf(words.slice(0, 256)), []);
    assert.deepEqual(await faultsOf(words.slice(0, 257)), ['Use at most 256 characters.']);
    assert.deepEqual(await faultsOf('x'.repeat(1_000_000)), ['Use at most 256 characters.']);
  });

  it('has no rules of composition: lower case only, digits only and blanks pass', async () => {
    assert.deepEqual(await faultsOf('mossylanternorbit'), []);
    assert.deepEqual(await faultsOf('927401836592047'), []);
    assert.deepEqual(await faultsOf(' mossy  lantern '), []);
  });

  it('accepts any random password of 15 letters and digits', async () => {
    const character = fc.constantFrom(...Array.from('bdgjmpsvyBDGJMPSVY2580'));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(character, { minLength: 15, maxLength: 22 }), async (characters) =>
        assert.deepEqual(await faultsOf(characters.join('')), []),
      ),
    );
  });

  it('refuses a shorter text that repeats, in any case', async () => {
    for (const password of [
      'aaaaaaaaaaaaaaaa',
      'abababababababab',
      'passpasspasspass',
      'PassPASSpasspass',
      'password1password1',
      'mossymossymossymos',
    ]) {
      assert.ok((await faultsOf(password)).length > 0, password);
    }
  });

  it('says of a few characters that they are too few, and nothing else', async () => {
    for (const password of ['', 'a', 'short', '12345']) {
      assert.equal((await faultsOf(password)).length, 1, password);
    }
  });

  it('refuses runs of neighbours in the alphabet or on the keyboard', async () => {
    for (const password of [
      'abcdefghijklmnopq',
      'qponmlkjihgfedcba',
      '123456789012345',
      'abcdefgh12345678',
      'aaaaabbbbbcccccddddd',
      'qwertyuiopasdfgh',
      'QWERTYUIOP123456',
      '1qaaaaaaaaaaaaaaa',
    ]) {
      assert.ok((await faultsOf(password)).length > 0, password);
    }
  });

  it('refuses what is made from the address, the tenant or the product', async () => {
    const context = { email: 'ana.lopez@meridian.example', tenantName: 'Northwind Traders' };
    for (const password of [
      'ana.lopez@meridian.example',
      'Ana.Lopez@Meridian.Example',
      'analopez2026!!!!',
      'meridian-meridian-1',
      'Northwind2026!!!',
      'N0rthw1nd-tr4d3rs',
      'northwindtraders1',
      'gatehouse1234567',
      'G4teh0use!!!!!!!!',
      '12345gatehouse54321',
    ]) {
      assert.deepEqual(
        (await faultsOf(password, context)).filter((message) => message.includes('name of this service'))
          .length,
        1,
        password,
      );
    }
  });

  it('refuses what is made from the name of the person or of the server', async () => {
    const served = createPasswordPolicy({ minLength: 15, serviceWords: ['Gatehouse', 'login.acme.example'] });

    for (const password of ['annikalundqvist1', 'Lundqvist-2026-1', 'login.acme.example']) {
      assert.equal((await faultsOf(password, { names: ['Annika Lundqvist'] }, served)).length, 1, password);
    }
  });

  it('lets such a word stand amid enough others', async () => {
    const context = { email: 'ana.lopez@meridian.example', tenantName: 'Northwind Traders' };

    assert.deepEqual(await faultsOf('gatehouse mossy lantern', context), []);
    assert.deepEqual(await faultsOf('my meridian velvet orbit', context), []);
  });

  it('names every fault at once', async () => {
    assert.equal((await faultsOf('gatehouse')).length, 2);
  });

  it('refuses ill-formed text instead of failing on it', async () => {
    assert.equal((await faultsOf('mossy lantern \ud800 orbit')).length, 1);
  });

  it('never fails otherwise than by refusing, whatever is typed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.string(),
        async (password, email, tenantName) => {
          await faultsOf(password, { email, tenantName });
        },
      ),
    );
  });
});
