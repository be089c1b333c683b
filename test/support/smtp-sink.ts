import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { callbackify } from 'node:util';
import { simpleParser } from 'mailparser';
import type { ParsedMail } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerSession } from 'smtp-server';
import type { Certificate } from './certificates.ts';

/** A mail as it arrived: what the envelope said, and what is in it. */
export interface ReceivedMail {
  from: string;
  /** Of the envelope, each RCPT TO. */
  recipients: string[];
  parsed: ParsedMail;
  raw: string;
  isEncrypted: boolean;
}

/** A real SMTP server that keeps what it is sent and refuses what it is told to. */
export interface SmtpSink {
  url: string;
  mails: ReceivedMail[];
  /** The SMTP status a mail is refused with; undefined: it is accepted. */
  refuse: (mail: ReceivedMail) => number | undefined;
  /** The last mail to the address that arrived, or the next that arrives, of those after the first so many. */
  mailTo(address: string, after?: number, isMeant?: (mail: ReceivedMail) => boolean): Promise<ReceivedMail>;
  close(): Promise<void>;
}

export interface SinkTls extends Certificate {
  /** From the first byte, or after STARTTLS. */
  isImplicit: boolean;
  /** Who may send, once the connection is encrypted; undefined: everybody. */
  login?: { user: string; password: string };
}

/** @param tls undefined: in clear */
export async function startSmtpSink(tls?: SinkTls): Promise<SmtpSink> {
  const waiting = new Set<() => void>();
  const server = new SMTPServer({
    ...(tls
      ? { key: tls.key, cert: tls.cert, secure: tls.isImplicit, authOptional: tls.login === undefined }
      : { disabledCommands: ['AUTH', 'STARTTLS'] }),
    onAuth({ username, password }, { secure }, done) {
      const isRight = secure && username === tls?.login?.user && password === tls?.login?.password;
      done(isRight ? null : new Error('refused'), isRight ? { user: username } : undefined);
    },
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, done) {
      callbackify(async () => receive(await buffer(stream), session))(done);
    },
  });

  async function receive(raw: Buffer, { envelope, secure }: SMTPServerSession): Promise<void> {
    const mail: ReceivedMail = {
      from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
      recipients: envelope.rcptTo.map(({ address }) => address),
      parsed: await simpleParser(raw),
      raw: raw.toString('utf8'),
      isEncrypted: secure,
    };
    const status = sink.refuse(mail);
    if (status !== undefined) throw Object.assign(new Error('refused'), { responseCode: status });
    sink.mails.push(mail);
    for (const wake of waiting) wake();
  }

  // Such as that of a client which does not trust the certificate, and hangs up.
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;

  const sink: SmtpSink = {
    url: `${tls?.isImplicit ? 'smtps' : 'smtp'}://127.0.0.1:${port}`,
    mails: [],
    refuse: () => undefined,
    async mailTo(address, after = 0, isMeant = () => true) {
      for (;;) {
        const found = sink.mails
          .slice(after)
          .findLast(
            (mail) =>
              mail.recipients.some((one) => one.toLowerCase() === address.toLowerCase()) && isMeant(mail),
          );
        if (found) return found;
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return sink;
}

/** The six digits of a mail. */
export function codeIn({ parsed }: ReceivedMail): string {
  const [code] = /\b\d{6}\b/.exec(parsed.text ?? '') ?? [];
  if (code === undefined) throw new Error(`no code in: ${parsed.text}`);
  return code;
}

/** The address of a mail's link. */
export function linkIn({ parsed }: ReceivedMail): string {
  const [link] = /https?:\/\/\S+/.exec(parsed.text ?? '') ?? [];
  if (link === undefined) throw new Error(`no link in: ${parsed.text}`);
  return link;
}
