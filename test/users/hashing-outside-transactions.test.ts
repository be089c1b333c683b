import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { codeIn, linkIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';

const NEW_PASSWORD = 'seven wandering lighthouses hum';
const SETTINGS = { signUp: 'open' as const, signUpDomains: [] };

/** A hash takes long and may wait for its turn; a transaction meanwhile would hold its locks and a connection. */
describe('a password is hashed while no transaction is open', () => {
  let own: OwnDatabase;
  let sink: SmtpSink;
  let app: TestApp;
  let tenant: TestTenant;
  /** For each hash, how many transactions there were. */
  let open: number[];

  before(async () => {
    own = await migratedDatabase();
    sink = await startSmtpSink();
    app = await startTestApp({ db: own.db, env: { SMTP_URL: sink.url } });
    tenant = await app.tenant();
    const { hasher } = app.services;
    const hash = hasher.hash.bind(hasher);
    hasher.hash = async (password) => {
      open.push(await openTransactions());
      return hash(password);
    };
  });

  /** Those of others end by themselves; that of whoever hashes would stay open for as long as it is looked at. */
  async function openTransactions(): Promise<number> {
    let count = 0;
    for (let looks = 0; looks < 100; looks += 1) {
      const { rows } = await own.db.raw(
        `SELECT count(*)::int AS count FROM pg_stat_activity
          WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
      );
      count = rows[0].count;
      if (count === 0) break;
    }
    return count;
  }

  beforeEach(() => {
    open = [];
  });

  after(async () => {
    await app.close();
    await sink.close();
    await own.drop();
  });

  const visitor = () => ({ ...tenant.actor, type: 'anonymous' as const });
  const newAddress = () => `${randomBytes(4).toString('hex')}@example.com`;
  const profile = { password: NEW_PASSWORD, claims: { name: 'Ana Lima' } };

  async function person() {
    const user = await app.services.users.create(tenant.actor, {
      email: newAddress(),
      password: GOOD_PASSWORD,
    });
    open = [];
    return user;
  }

  async function signUp(email: string) {
    const binding = randomBytes(8).toString('hex');
    await app.services.signUp.start(visitor(), SETTINGS, { email, binding, locale: 'en' });
    const code = codeIn(await sink.mailTo(email));
    await app.services.signUp.check(visitor(), { binding, code });
    return app.services.signUp.complete(visitor(), binding, profile);
  }

  const ways: Record<string, () => Promise<unknown>> = {
    'by somebody who signs up': () => signUp(newAddress()),
    'by somebody who was invited and signs up': async () => {
      const { email } = await app.services.users.create(tenant.actor, {
        email: newAddress(),
        status: 'pending',
      });
      const user = await signUp(email);
      assert.equal(user.status, 'active');
    },
    'by somebody who accepts an invitation': async () => {
      const email = newAddress();
      await app.services.invitations.invite(tenant.actor, { email, locale: 'en' });
      const token = new URL(linkIn(await sink.mailTo(email))).searchParams.get('token') ?? '';
      await app.services.invitations.accept(visitor(), token, { password: NEW_PASSWORD });
    },
    'by somebody who resets it': async () => {
      const { email } = await person();
      await app.services.passwordReset.start(visitor(), { email, binding: email, locale: 'en' });
      const token = new URL(linkIn(await sink.mailTo(email))).searchParams.get('token') ?? '';
      const how = { password: NEW_PASSWORD, endsAccess: true, locale: 'en' };
      await app.services.passwordReset.complete(visitor(), { token }, how);
    },
    'by somebody who was given one': async () => {
      const { id, email } = await person();
      await app.services.users.setPassword(tenant.actor, id, GOOD_PASSWORD, { isTemporary: true });
      const outcome = await app.services.passwordSignIn.verify(visitor(), { email, password: GOOD_PASSWORD });
      const proof = outcome.ok ? (outcome.temporary ?? '') : '';
      await app.services.temporaryPasswords.replace(visitor(), {
        userId: id,
        proof,
        password: NEW_PASSWORD,
      });
    },
    'by an operator': () => person(),
  };

  for (const [how, way] of Object.entries(ways)) {
    it(how, async () => {
      await way();

      assert.ok(
        open.every((count) => count === 0),
        JSON.stringify(open),
      );
    });
  }

  it('as this look at it would tell', async () => {
    await signUp(newAddress());

    assert.deepEqual(open, [0]);
  });
});
