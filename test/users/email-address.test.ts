import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseEmail } from '../../src/users/email-address.ts';

const atom = fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,12}$/);
const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?$/);
const address = fc
  .tuple(fc.array(atom, { minLength: 1, maxLength: 4 }), fc.array(label, { minLength: 1, maxLength: 4 }))
  .map(([local, domain]) => `${local.join('.')}@${domain.join('.')}`);

describe('e-mail address', () => {
  it('accepts every dot-string address and leaves it as it was typed', () => {
    fc.assert(fc.property(address, (email) => assert.equal(parseEmail(email), email)));
  });

  it('trims blanks around an address', () => {
    fc.assert(
      fc.property(address, fc.constantFrom(' ', '\t', '\r\n', '\u00a0'), (email, blank) =>
        assert.equal(parseEmail(`${blank}${email}${blank}`), email),
      ),
    );
  });

  it('refuses an address with a control, blank, quote, bracket or separator anywhere inside', () => {
    const intruders =
      '\0\r\n\t\v\f \u0085\u00a0\u2028\u2029\u200b\u202e\ufeff\u00ad\u034f\u115f\ufe0f"(),:;<>[\\]';
    fc.assert(
      fc.property(address, fc.nat(), fc.constantFrom(...Array.from(intruders)), (email, at, intruder) => {
        const index = 1 + (at % (email.length - 1));
        assert.equal(parseEmail(email.slice(0, index) + intruder + email.slice(index)), undefined);
      }),
    );
  });

  it('refuses a second @ and everything that some program may read as one', () => {
    fc.assert(
      fc.property(address, fc.nat(), fc.constantFrom('@', '\uff20', '\ufe6b'), (email, at, sign) => {
        const index = at % (email.length + 1);
        assert.equal(parseEmail(email.slice(0, index) + sign + email.slice(index)), undefined);
        assert.equal(parseEmail(email.replace('@', sign === '@' ? '' : sign)), undefined);
      }),
    );
  });

  it('returns well-formed text of one @, in NFC and NFKC, without blanks, or nothing, for any input', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc
        .tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }))
        .map((parts) => parts.join('@')),
    );
    fc.assert(
      fc.property(anything, (text) => {
        const email = parseEmail(text);
        if (email === undefined) return;
        assert.ok(email.isWellFormed());
        assert.equal(email.split('@').length, 2);
        assert.equal(email.normalize('NFC'), email);
        assert.equal(email.normalize('NFKC'), email);
        assert.doesNotMatch(email, /[\p{C}\p{Z}"<>,;]/u);
        assert.equal(parseEmail(email), email);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes the composed and the decomposed spelling for one address', () => {
    assert.equal(parseEmail('ame\u0301lie@exa\u0301mple.com'), 'am\u00e9lie@ex\u00e1mple.com');
  });

  it('refuses what only resembles an address', () => {
    for (const text of [
      '',
      '@',
      'ana',
      'ana@',
      '@example.com',
      '.ana@example.com',
      'ana.@example.com',
      'a..na@example.com',
      'ana@-example.com',
      'ana@example-.com',
      'ana@example..com',
      'ana@.example.com',
      'ana@example.com.',
      'ana@[127.0.0.1]',
      '"ana"@example.com',
      '"ana@evil.test"@example.com',
      'Ana <ana@example.com>',
      'ana@example.com,eve@example.com',
      'ana@example.com\r\nBcc: eve@example.com',
      'ana@example\u3002com',
      'ana@\uff45xample.com',
      'ana\ud800@example.com',
    ]) {
      assert.equal(parseEmail(text), undefined, JSON.stringify(text));
    }
  });

  it('allows 64 octets before the @ and 254 in all, counted in UTF-8', () => {
    const domain = `${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(61)}`;

    assert.ok(parseEmail(`${'a'.repeat(64)}@${domain}`));
    assert.equal(parseEmail(`${'a'.repeat(64)}@${domain}d`), undefined);
    assert.equal(parseEmail(`${'a'.repeat(65)}@example.com`), undefined);
    assert.ok(parseEmail(`${'\u00e9'.repeat(32)}@example.com`));
    assert.equal(parseEmail(`${'\u00e9'.repeat(33)}@example.com`), undefined);
    assert.equal(parseEmail(`a@${'d'.repeat(64)}.com`), undefined);
  });
});
