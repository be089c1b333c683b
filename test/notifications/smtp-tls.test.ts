import assert from 'node:assert/strict';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Knex } from 'knex';
import { createTranslations } from '../../src/i18n/translations.ts';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { createSealer } from '../../src/lib/sealer.ts';
import { createMailService } from '../../src/notifications/mail-service.ts';
import { createSmtpTransport } from '../../src/notifications/smtp-transport.ts';
import { parseSmtpUrl } from '../../src/notifications/smtp-url.ts';
import { memoryLog } from '../jobs/support.ts';
import { createAuthority } from '../support/certificates.ts';
import type { Authority, Certificate } from '../support/certificates.ts';
import { migratedDatabase, newTenant } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { startSmtpSink } from '../support/smtp-sink.ts';
import type { SinkTls, SmtpSink } from '../support/smtp-sink.ts';

const translations = createTranslations({ dir: join(import.meta.dirname, '../../locales') });
const sealer = createSealer(createKeyRing([Buffer.alloc(32, 7)]));
const LOGIN = { user: 'gatehouse', password: 'four quiet lanterns drift' };

describe('mail over TLS', () => {
  const trusted = getCACertificates('default');
  let authority: Authority;
  let own: OwnDatabase;
  let db: Knex;
  let sink: SmtpSink | undefined;

  before(async () => {
    authority = await createAuthority();
  });
  beforeEach(async () => {
    own = await migratedDatabase();
    db = own.db;
    setDefaultCACertificates([...trusted, authority.cert]);
  });
  afterEach(async () => {
    setDefaultCACertificates(trusted);
    await sink?.close();
    await own.drop();
  });
  after(() => authority.close());

  /** Sends one mail to a server with this certificate. @returns its row afterwards */
  async function send(
    tls: SinkTls,
    { login, isDemanded = true }: { login?: typeof LOGIN; isDemanded?: boolean } = {},
  ) {
    sink = await startSmtpSink(tls);
    const url = new URL(sink.url);
    if (login) Object.assign(url, { username: login.user, password: encodeURIComponent(login.password) });
    const server = parseSmtpUrl(url.href);
    const isOffered = server.tls === 'offered' && isDemanded;
    const mail = createMailService({
      db,
      sealer,
      translations,
      settings: { from: 'no-reply@acme.example' },
      // On loopback it would do without; elsewhere it does not.
      transport: createSmtpTransport(isOffered ? { ...server, tls: 'required' } : server),
      readerLocale: async () => undefined,
      log: memoryLog().log,
    });
    const tenantId = (await newTenant(db, { name: 'Acme' })).id;
    await db.transaction((trx) =>
      mail.enqueue(trx, {
        tenantId,
        recipient: 'ana@example.com',
        template: 'password_reset',
        locale: 'en',
        data: { code: '482913' },
        isRequested: true,
      }),
    );
    await mail.delivery.deliverDue();
    await mail.delivery.stop();
    const [row] = await db('mails');
    return row;
  }

  for (const isImplicit of [false, true]) {
    describe(isImplicit ? 'from the first byte' : 'after STARTTLS', () => {
      it('goes out where the certificate is right', async () => {
        const row = await send({ ...authority.issue('127.0.0.1'), isImplicit });

        assert.equal(row.status, 'sent');
        assert.deepEqual(
          sink?.mails.map(({ isEncrypted, recipients }) => [isEncrypted, ...recipients]),
          [[true, 'ana@example.com']],
        );
      });

      it('signs in, once the connection is encrypted', async () => {
        const certificate = authority.issue('127.0.0.1');

        const row = await send({ ...certificate, isImplicit, login: LOGIN }, { login: LOGIN });

        assert.equal(row.status, 'sent');
        assert.equal(sink?.mails.length, 1);
      });

      const wrong: Record<string, () => Promise<Certificate>> = {
        'is of another name': async () => authority.issue('mail.example'),
        'has expired': async () => authority.issue('127.0.0.1', -1),
        'nobody vouches for': async () => {
          const stranger = await createAuthority();
          const certificate = stranger.issue('127.0.0.1');
          await stranger.close();
          return certificate;
        },
      };
      for (const [what, certificateOf] of Object.entries(wrong)) {
        for (const isDemanded of [true, false]) {
          const where = isDemanded ? '' : ', also where it could do without';
          it(`stays in the outbox where the certificate ${what}${where}`, async () => {
            const certificate = await certificateOf();

            const row = await send(
              { ...certificate, isImplicit, login: LOGIN },
              { login: LOGIN, isDemanded },
            );

            assert.deepEqual([row.status, row.last_error, row.attempts], ['queued', 'untrusted', 1]);
            assert.ok(row.data_sealed);
            assert.deepEqual(sink?.mails, []);
          });
        }
      }
    });
  }
});
