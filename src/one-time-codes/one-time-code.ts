import { z } from 'zod';

/** What a code or link is good for. One of one purpose does nothing for another. */
export type CodePurpose =
  | 'password_reset'
  | 'sign_up'
  | 'sign_in'
  | 'verify_email'
  | 'invitation'
  | 'email_change'
  | 'email_change_undo'
  | 'unlock';

/** What whoever asked will need when the code or link comes back; stored sealed. */
export const codeContextSchema = z.object({
  /** The application the person came from. */
  clientId: z.string().optional(),
  /** Of the mail, for what follows it. */
  locale: z.string().optional(),
});

export type CodeContext = z.output<typeof codeContextSchema>;

/** A code or link that was right. */
export interface ProvedCode {
  id: string;
  purpose: CodePurpose;
  address: string;
  /** Undefined where nobody has the address. */
  userId: string | undefined;
  context: CodeContext;
}

/**
 * Why a code was refused. `expired` is told only to who typed the right one; `spent`: there is no code to try
 * any more, since it was used, tried five times, or replaced.
 */
export type CodeRefusal = 'wrong' | 'expired' | 'spent';

export type CodeCheck = { ok: true; proved: ProvedCode } | { ok: false; reason: CodeRefusal };

export type LinkState = 'open' | 'used' | 'expired';
