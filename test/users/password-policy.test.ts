import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../src/lib/errors.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';

const policy = createPasswordPolicy({ minLength: 15 });

function faultsOf(password: string, context = {}): string[] {
  try {
    policy.check(password, context);
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
  it('asks for 15 characters and says how many there are', () => {
    assert.deepEqual(faultsOf('mossylanternx9'), ['Use at least 15 characters; this has 14.']);
    assert.deepEqual(faultsOf('mossylanternx92'), []);
  });

  it('counts characters, not bytes or UTF-16 units', () => {
    assert.equal(
      faultsOf('\u{1f98a}\u{1f427}\u{1f335}\u{1f30b}\u{1f6f6}\u{1f3ba}\u{1f9c2}\u{1f9ed}').length,
      1,
    );
    assert.deepEqual(
      faultsOf('\u6708\u5149\u7167\u5728\u6d77\u9762\u4e0a\u7684\u53e4\u8001\u706f\u5854\u65c1\u8fb9\u5440'),
      [],
    );
  });

  it('takes its minimum from the operator', () => {
    const short = createPasswordPolicy({ minLength: 8 });

    assert.throws(() => short.check('mossy47', {}), { code: 'password.unacceptable' });
    short.check('mossy47x', {});
    assert.match(short.hint, /8 characters/);
  });

  it('accepts 64 and 256 characters and refuses 257', () => {
    const words = 'mossy lantern orbit velvet harbour tundra '.repeat(10);

    assert.deepEqual(faultsOf(words.slice(0, 64)), []);
    assert.deepEqual(faultsOf(words.slice(0, 256)), []);
    assert.deepEqual(faultsOf(words.slice(0, 257)), ['Use at most 256 characters.']);
    assert.deepEqual(faultsOf('x'.repeat(1_000_000)), ['Use at most 256 characters.']);
  });

  it('has no rules of composition: lower case only, digits only and blanks pass', () => {
    assert.deepEqual(faultsOf('mossylanternorbit'), []);
    assert.deepEqual(faultsOf('927401836592047'), []);
    assert.deepEqual(faultsOf(' mossy  lantern '), []);
  });

  it('accepts any random password of 15 letters and digits', () => {
    const character = fc.constantFrom(...Array.from('bdgjmpsvyBDGJMPSVY2580'));
    fc.assert(
      fc.property(fc.uniqueArray(character, { minLength: 15, maxLength: 22 }), (characters) =>
        assert.deepEqual(faultsOf(characters.join('')), []),
      ),
    );
  });

  it('refuses a shorter text that repeats, in any case', () => {
    for (const password of [
      'aaaaaaaaaaaaaaaa',
      'abababababababab',
      'passpasspasspass',
      'PassPASSpasspass',
      'password1password1',
      'mossymossymossymos',
    ]) {
      assert.equal(faultsOf(password).length > 0, true, password);
    }
  });

  it('refuses runs of neighbours in the alphabet or on the keyboard', () => {
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
      assert.equal(faultsOf(password).length > 0, true, password);
    }
  });

  it('refuses what is made from the address, the tenant or the product', () => {
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
        faultsOf(password, context).filter((message) => message.includes('name of this service')).length,
        1,
        password,
      );
    }
  });

  it('lets such a word stand amid enough others', () => {
    const context = { email: 'ana.lopez@meridian.example', tenantName: 'Northwind Traders' };

    assert.deepEqual(faultsOf('gatehouse mossy lantern', context), []);
    assert.deepEqual(faultsOf('my meridian velvet orbit', context), []);
  });

  it('names every fault at once', () => {
    assert.equal(faultsOf('gatehouse').length, 2);
  });

  it('refuses ill-formed text instead of failing on it', () => {
    assert.equal(faultsOf('mossy lantern \ud800 orbit').length, 1);
  });

  it('never fails otherwise than by refusing, whatever is typed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (password, email, tenantName) => {
        faultsOf(password, { email, tenantName });
      }),
    );
  });
});
