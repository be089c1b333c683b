import { MailError } from './mail.ts';
import type { MailFailure, MailTransport } from './mail.ts';
import type { SmtpServer } from './smtp-url.ts';

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;

/**
 * One address and nothing that a header or an SMTP command could be made of: neither line breaks, quotes and
 * comments, nor lists. Addresses have been checked where they came in; this is the last place to find out.
 */
const ONE_ADDRESS = /^[^\s\p{C}"(),:;<>@[\\\]]{1,64}@[^\s\p{C}"(),:;<>@[\\\]]{1,253}$/u;

/** Sends over SMTP (RFC 5321), encrypted wherever others could listen. */
export function createSmtpTransport(server: SmtpServer): MailTransport & { verify(): Promise<void> } {
  let loading: ReturnType<typeof load> | undefined;

  /** At the first mail: a process that sends none need not hold the library. */
  async function load() {
    const { createTransport } = await import('nodemailer');
    return createTransport({
      host: server.host,
      port: server.port,
      secure: server.tls === 'implicit',
      requireTLS: server.tls === 'required',
      ...(server.user === undefined ? {} : { auth: { user: server.user, pass: server.password ?? '' } }),
      tls: { minVersion: 'TLSv1.2' },
      connectionTimeout: CONNECT_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      dnsTimeout: CONNECT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  return {
    /** Connects, encrypts and signs in, and sends nothing. @throws {MailError} */
    async verify() {
      const transporter = await (loading ??= load());
      await transporter.verify().catch((err: unknown) => {
        throw toMailError(err);
      });
    },

    async send({ from, to, messageId, subject, text, html }) {
      if (!ONE_ADDRESS.test(to) || !ONE_ADDRESS.test(from.address)) throw new MailError('rejected');
      const transporter = await (loading ??= load());
      try {
        await transporter.sendMail({
          // Address objects, never text: text is parsed, and could hold several.
          envelope: { from: from.address, to: [to] },
          from: { name: withoutBreaks(from.name), address: from.address },
          to: { name: '', address: to },
          messageId,
          subject: withoutBreaks(subject),
          text,
          html,
          // Nobody's autoresponder shall answer (RFC 3834).
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
        });
      } catch (err) {
        throw toMailError(err);
      }
    },
  };
}

function withoutBreaks(text: string): string {
  return text.replaceAll(/\p{C}+/gu, ' ').trim();
}

/** As Node names what is wrong with a certificate (`tls`, "X509 certificate error codes"). */
const CERTIFICATE_FAULT = /CERT|SIGNATURE|ISSUER|^INVALID_CA$|^HOSTNAME_MISMATCH$/;

function toMailError(err: unknown): MailError {
  const { code, originalCode, responseCode, command } = Object(err) as Record<string, unknown>;
  const smtpStatus = typeof responseCode === 'number' ? responseCode : undefined;
  if (CERTIFICATE_FAULT.test(String(originalCode))) return new MailError('untrusted');
  return new MailError(reasonOf(String(code), smtpStatus, String(command)), { smtpStatus });
}

function reasonOf(code: string, status: number | undefined, command: string): MailFailure {
  if (code === 'EAUTH') return 'refused_login';
  if (code === 'ETLS') return 'no_tls';
  if (status === undefined) return 'unreachable';
  // 4xx asks to come again (RFC 5321 §4.2.1), and so does whatever was refused before the mail was looked at.
  const isAboutTheMail = /^(MAIL FROM|RCPT TO|DATA|API)/.test(command);
  return status >= 500 && isAboutTheMail ? 'rejected' : 'deferred';
}
