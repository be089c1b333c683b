import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { AppError } from '../../src/lib/errors.ts';
import { parseForeignHash } from '../../src/users/foreign-hashes/parse-foreign-hash.ts';
import { passwordStore } from '../../src/users/password-store.ts';
import { newTenant, testDb } from '../support/database.ts';
import { newHasher, newKey, operator, people, visitor } from './people.ts';

const LONG = 'a much longer password, of more than sixty-four characters, to fill all blocks twice';

/** From specifications and reference implementations; where it says so, made with another program. */
const VECTORS: Record<string, [text: string, password: string]> = {
  'argon2i, reference test suite': [
    '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
    'password',
  ],
  'argon2i version 16, reference test suite': [
    '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ',
    'password',
  ],
  'argon2id, reference test suite': [
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    'password',
  ],
  'bcrypt 2a, crypt_blowfish': ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  'bcrypt 2y, libxcrypt': ['$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  'bcrypt 2b of more than 72 bytes, libxcrypt': [
    '$2b$04$abcdefghijklmnopqrstuuzi3/OWWvhRzdqWgniR4W52Vgct4497y',
    '72 bytes of password and more, which bcrypt ignores: 0123456789012345678901234567890',
  ],
  'bcrypt, passlib': ['$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m', 'password'],
  'bcrypt in LDAP': ['{CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  'bcrypt of Django': [
    'bcrypt$$2b$04$abcdefghijklmnopqrstuuzi3/OWWvhRzdqWgniR4W52Vgct4497y',
    '72 bytes of password and more, which bcrypt ignores: 0123456789012345678901234567890',
  ],
  'bcrypt_sha256 of Django, libxcrypt': [
    'bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuIvyWZlBcE3WoQXKqRnwrLYJ6nenE0Bq',
    'correct horse',
  ],
  'scrypt, RFC 7914 §12': [
    '$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA',
    'password',
  ],
  'scrypt, passlib': [
    '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
    'password',
  ],
  'scrypt of Django, hashlib': [
    'scrypt$seasalt$16384$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==',
    'lètmein',
  ],
  'PBKDF2-HMAC-SHA-1, RFC 6070': ['$pbkdf2$4096$c2FsdA$SwB5AbdlSJq.rUnZJvch0GWkKcE', 'password'],
  'PBKDF2-HMAC-SHA-256, RFC 7914 §11': [
    '$pbkdf2-sha256$i=1,l=64$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw',
    'passwd',
  ],
  'PBKDF2 as passlib writes it, hashlib': [
    '$pbkdf2-sha512$6400$8PHy8/T19vf4.fr7/P3./w$S4AMJOQcr60K4xYFbPjiCovAjaZfQbNej7vLBQFntsXgugHgTHfU2gmybpRlWpM8d/iCxgGjW7edxOpmbYLSYQ',
    'password',
  ],
  'PBKDF2 of Django, hashlib': [
    'pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=',
    'lètmein',
  ],
  'PBKDF2 in LDAP, hashlib': [
    '{PBKDF2-SHA512}10000$MDEyMzQ1Njc4OWFiY2RlZg$Ku2kkJn6DxC9USh74Agbkv4vbBI4ZhZ8d47MX26bL/eRW8hekiZ5S9cnh202r0tlRpHPMeEkni4bLxrm9.9Cvw',
    'correct horse',
  ],
  'ASP.NET Core Identity v2, its test suite': [
    'AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==',
    'my password',
  ],
  'ASP.NET Core Identity v3 SHA-1, its test suite': [
    'AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M',
    'my password',
  ],
  'ASP.NET Core Identity v3 SHA-256, its test suite': [
    'AQAAAAEAA9CQAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=',
    'my password',
  ],
  'SSHA, hashlib': ['{SSHA}bBM5MfKzi8p3MP5NCzZ9HhzvsNlzYWx0eXNhbHQxMg==', 'correct horse'],
  'SSHA256, hashlib': [
    '{SSHA256}VGdGEsK17JScwmRzKrJgopwb/VySWko24Fzt42M55LJzYWx0eXNhbHQxMg==',
    'correct horse',
  ],
  'SSHA512, hashlib': [
    '{SSHA512}LI5EwJVuOsSocwp4ahSws0w0LORLbnRrL0F2C5HUyNHkGJCFUKITpYkYJ3eecIRboEL3yzCJt0B6WQsL21uyvnNhbHR5c2FsdDEy',
    'correct horse',
  ],
  'MD5-crypt, OpenSSL': ['$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1', 'Hello world!'],
  'MD5-crypt, OpenSSL, long': ['$1$saltstri$55Oil4ahKqL./Wo5x.pie.', LONG],
  'MD5-crypt in LDAP, OpenSSL': ['{CRYPT}$1$ab$zSxXTAOa3MsUL6fbBrrN71', 'pässword'],
  'Apache MD5, OpenSSL': ['$apr1$saltstri$aGfuB7Lcvs2TUeFTqUVfN0', 'Hello world!'],
  'SHA-256-crypt, specification': [
    '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5',
    'Hello world!',
  ],
  'SHA-256-crypt, OpenSSL, long': ['$5$saltstri$eThM8Po6rE.y7dE/OcSGqwRgMCsgkgvVBgsdVn1p4Z6', LONG],
  'SHA-512-crypt, specification': [
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
    'Hello world!',
  ],
  'SHA-512-crypt with rounds, glibc': [
    '$6$rounds=1400$anotherlongsalts$yowt8ImfON.IERiLD9GFt0oQJvGF.B8RmCDiZqVTj/hHbJUIqC96I4V6uSKfjaRiuGZtMlDQ9TmFXN3udv17l0',
    'x',
  ],
};

const CHEAP = VECTORS['SSHA, hashlib'] as [string, string];

describe('password hashes of other systems', function () {
  this.timeout(30_000);
  let db: Knex;
  let tenantId: string;
  before(async () => {
    db = await testDb();
  });
  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  for (const [name, [text, password]] of Object.entries(VECTORS)) {
    it(`verifies ${name}, keeps no digest of it, and asks for a new hash`, async () => {
      const hasher = newHasher();

      const stored = hasher.adopt(text);

      assert.equal(await hasher.verify(password, stored), true);
      for (const wrong of [`x${password}`, password.slice(1), password.toUpperCase(), '']) {
        if (wrong !== password) assert.equal(await hasher.verify(wrong, stored), false, wrong);
      }
      assert.equal(hasher.needsRehash(stored), true);
      const digest = parseForeignHash(text).digest;
      for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
        assert.ok(!stored.hash.includes(digest.toString(encoding).replace(/=+$/, '')), encoding);
      }
    });
  }

  it('are worth nothing without the pepper', async () => {
    const [text, password] = CHEAP;
    const [key, other] = [newKey(), newKey()];
    const { hash } = newHasher([key]).adopt(text);
    const elsewhere = newHasher([other]);

    assert.equal(await elsewhere.verify(password, { hash, pepperId: elsewhere.adopt(text).pepperId }), false);
    await assert.rejects(elsewhere.verify(password, newHasher([key]).adopt(text)));
  });

  it('are refused where they would cost too much', () => {
    for (const text of [
      '$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      '$argon2id$v=19$m=65536,t=4000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      '$2b$31$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m',
      '$scrypt$ln=31,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
      '$scrypt$ln=16,r=8,p=1000000$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
      '$pbkdf2-sha256$1000000000$0ZrzXitFSGltTQnBWOsdgw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M',
      '$6$rounds=999999999$anotherlongsalts$yowt8ImfON.IERiLD9GFt0oQJvGF.B8RmCDiZqVTj/hHbJUIqC96I4V6uSKfjaRiuGZtMlDQ9TmFXN3udv17l0',
    ]) {
      assert.throws(() => parseForeignHash(text), { code: 'password.hash_too_costly', status: 400 }, text);
    }
  });

  it('are refused where they are none, are cut short, or are numbers beyond all numbers', () => {
    for (const text of [
      '',
      'password',
      '{SSHA}bBM5MfKzi8p3MP5NCzZ9HhzvsNk=',
      '{MD5}X03MO1qnZdYdgyfeuILPmQ==',
      '5f4dcc3b5aa765d61d8327deb882cf99',
      '$argon2id$v=20$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      '$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdU',
      '$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8',
      '$2b$03$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m',
      'scrypt$seasalt$16383$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==',
      `$pbkdf2-sha256$${'9'.repeat(400)}$0ZrzXitFSGltTQnBWOsdgw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M`,
      `$pbkdf2-sha256$1000$${'A'.repeat(900)}$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M`,
      'AQAAAAkAA9CQAAAAIESkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=',
      'AQAAAAEAA9CQ/////0SkQuj2Du8Y+kbc5lcN/W/3NiAZFEm11P27nrSN5/tId+bR1SwV8CO1Jd72r4C08OLvplNlCDc3oQZ8efcW+jQ=',
      'foreign:1:e30:AAAA',
    ]) {
      assert.throws(
        () => parseForeignHash(text),
        (err) => {
          assert.ok(err instanceof AppError, text);
          assert.equal(err.code, 'password.hash_unsupported', text);
          assert.ok(text.length < 20 || !err.message.includes(text));
          return true;
        },
      );
    }
  });

  it('are never the cause of another failure, however they are damaged', () => {
    const texts = Object.values(VECTORS).map(([text]) => text);
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(120), fc.string({ maxLength: 3 }), (text, at, more) => {
        try {
          parseForeignHash(text.slice(0, at) + more + text.slice(at + 1));
        } catch (err) {
          assert.ok(err instanceof AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('are verified beside the main thread', async () => {
    const hasher = newHasher();
    const stored = hasher.adopt('$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m');
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);

    await hasher.verify('wrong', stored);

    clearInterval(timer);
    assert.ok(turns >= 20, `${turns} turns of the event loop`);
  });

  it('become ours at the first sign-in, and one of 20 parallel ones does it', async () => {
    const hasher = newHasher();
    const { users, signIn } = people(db, hasher);
    const [text, password] = CHEAP;
    const { id } = await users.create(operator(tenantId), { email: 'ana@example.com' });
    await passwordStore(db, tenantId).set(id, hasher.adopt(text), new Date());
    const attempt = (typed: string) =>
      signIn.verify(visitor(tenantId), { email: 'ana@example.com', password: typed });
    const storedHash = async () =>
      (await db('password_credentials').where({ user_id: id }).first('hash')).hash;

    assert.equal((await attempt('wrong')).ok, false);
    assert.match(await storedHash(), /^foreign:/);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => attempt(password)));

    assert.ok(outcomes.every(({ ok }) => ok));
    const hash = await storedHash();
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    assert.equal((await attempt(password)).ok, true);
    assert.equal(await storedHash(), hash);
  });

  it('match what was typed as it was typed, or as it is normalised', async () => {
    const hasher = newHasher();
    const composed = hasher.adopt('$1$ab$zSxXTAOa3MsUL6fbBrrN71');

    assert.equal(await hasher.verify('pässword'.normalize('NFC'), composed), true);
    assert.equal(await hasher.verify('pässword'.normalize('NFD'), composed), true);
  });
});
