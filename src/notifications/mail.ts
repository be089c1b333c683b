/** A mail as whoever causes it describes it. The words are the template's, in the language of the reader. */
export interface NewMail {
  tenantId: string;
  /** One address as `parseEmail` returns it. */
  recipient: string;
  template: MailTemplate;
  /** BCP 47; unless the reader has an account and saved another there. */
  locale: string;
  data: MailData;
  /** A second mail under the same key is not made. Default: every mail is one of its own. */
  idempotencyKey?: string | undefined;
  /**
   * Anybody could have asked for it by typing the address, so its recipient gets only so many. What tells
   * somebody of a change of their own account is never held back.
   */
  isRequested: boolean;
  /** Made like any other but never sent, so that asking for an address nobody has takes the same work. */
  isWithheld?: boolean;
}

/** What a template may fill in; stored sealed. */
export interface MailData {
  /** Six digits. */
  code?: string;
  /** Of our own, opened by a POST of its page. */
  url?: string;
  /** The application it is about. */
  app?: string;
  /** Such as the new address, in a notice to the old one. */
  address?: string;
}

export const MAIL_TEMPLATES = [
  'password_reset',
  'password_changed',
  'sign_up',
  'sign_up_existing',
  'sign_up_uninvited',
  'sign_in_code',
  'verify_email',
  'invitation',
  'email_change',
  'email_changed',
  'email_changed_for_you',
  'password_set_for_you',
  'account_locked',
  'new_device',
  'data_export_ready',
  'account_deletion',
] as const;

export type MailTemplate = (typeof MAIL_TEMPLATES)[number];

export type EnqueueOutcome =
  | { ok: true; id: string }
  /** The recipient was sent as many as anybody may ask for. */
  | { ok: false; retryAfterSeconds: number };

/** A mail in words. */
export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** Brings one mail to the next server, or throws. */
export interface MailTransport {
  /** @throws {MailError} */
  send(message: RenderedMail & { from: Mailbox; to: string; messageId: string }): Promise<void>;
}

export interface Mailbox {
  name: string;
  address: string;
}

/** Why a mail did not go out: `rejected` is final, the others may pass. */
export type MailFailure = 'rejected' | 'deferred' | 'unreachable' | 'refused_login' | 'no_tls' | 'untrusted';

export class MailError extends Error {
  readonly reason: MailFailure;
  /** As the server answered (RFC 5321 §4.2). */
  readonly smtpStatus: number | undefined;

  constructor(
    reason: MailFailure,
    { smtpStatus, cause }: { smtpStatus?: number | undefined; cause?: unknown } = {},
  ) {
    // Not the server's words: they quote addresses.
    super(`mail ${reason}${smtpStatus === undefined ? '' : ` (${smtpStatus})`}`, { cause });
    this.name = 'MailError';
    this.reason = reason;
    this.smtpStatus = smtpStatus;
  }
}
