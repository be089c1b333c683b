import type { Config } from '../../config.ts';
import { createSmtpTransport } from '../../notifications/smtp-transport.ts';
import { parseSmtpUrl } from '../../notifications/smtp-url.ts';
import { MailError } from '../../notifications/mail.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'mail';

/** Whether the mail server lets us in. Nothing is sent. */
export async function checkMail({ mail }: Pick<Config, 'mail'>): Promise<Check> {
  if (!mail) {
    return warn(
      NAME,
      'SMTP_URL is not set: sign-up, password reset and whatever else needs mail are not offered',
      'Set SMTP_URL; docs/mail.md says how.',
    );
  }
  if (mail.smtpUrl === undefined) return ok(NAME, 'kept in the inbox at /dev/mail, for development');
  const server = parseSmtpUrl(mail.smtpUrl);
  const name = `${server.host}:${server.port}`;
  try {
    await createSmtpTransport(server).verify();
    return ok(NAME, `${name} takes mails`);
  } catch (err) {
    const reason = err instanceof MailError ? err.reason : 'unreachable';
    return fail(NAME, `${name} cannot be used: ${WORDS[reason]}`, 'Check SMTP_URL and the server it names.');
  }
}

const WORDS: Readonly<Record<MailError['reason'], string>> = {
  unreachable: 'it does not answer',
  refused_login: 'it refuses the user and password',
  no_tls: 'it offers no encryption',
  untrusted: 'its certificate has expired, is of another name, or from an authority that is not trusted here',
  rejected: 'it refuses us',
  deferred: 'it is not ready',
};
