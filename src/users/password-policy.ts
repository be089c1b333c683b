import { unacceptablePassword } from './password-errors.ts';
import type { PasswordFault } from './password-errors.ts';
import { MAX_LENGTH, contextRule, lengthRule, repetitionRule, sequenceRule } from './password-rules.ts';
import type { PasswordContext, Rule } from './password-rules.ts';

/**
 * Which passwords are good enough (NIST SP 800-63B-4 §3.1.1.2): long ones that nobody would try first. No rules about
 * kinds of characters and no expiry, which make people choose worse ones.
 */

/** What to tell people and password managers before a password is typed; the same wherever one is chosen. */
export interface PasswordRules {
  hint: string;
  /** In characters, which are Unicode code points. */
  minLength: number;
  maxLength: number;
}

export interface PasswordOwner extends PasswordContext {
  /** Whether the person has a second factor as well; then a shorter password will do. */
  hasSecondFactor?: boolean | undefined;
}

export interface PasswordPolicy extends Readonly<PasswordRules> {
  rulesFor(owner: Pick<PasswordOwner, 'hasSecondFactor'>): PasswordRules;
  /** @throws {AppError} `password.unacceptable`, with a sentence and a code for every fault under `/password` */
  check(password: string, owner: PasswordOwner): Promise<void>;
}

/** A list of passwords that are tried first. `password` is in NFC and not longer than `MAX_LENGTH`. */
export type Blocklist = (password: string, owner: PasswordOwner) => Promise<PasswordFault | undefined>;

/**
 * @param minLength of a password that is the only factor, in characters (Unicode code points)
 * @param minLengthWithSecondFactor of one beside another factor
 * @param serviceWords words of the context, as the tenant's name is
 * @param blocklists asked for passwords that are fine otherwise
 */
export function createPasswordPolicy({
  minLength,
  minLengthWithSecondFactor = minLength,
  serviceWords = ['Gatehouse'],
  blocklists = [],
}: {
  minLength: number;
  minLengthWithSecondFactor?: number;
  serviceWords?: readonly string[];
  blocklists?: readonly Blocklist[];
}): PasswordPolicy {
  const inContext = contextRule(serviceWords);
  const alone = rulesOf(minLength);
  const beside = rulesOf(Math.min(minLength, minLengthWithSecondFactor));

  function rulesOf(length: number): { told: PasswordRules; kept: readonly Rule[] } {
    return {
      told: {
        hint: `At least ${length} characters. A few unrelated words are easy to remember and hard to guess.`,
        minLength: length,
        maxLength: MAX_LENGTH,
      },
      kept: [lengthRule(length), repetitionRule(length), sequenceRule, inContext],
    };
  }

  return {
    ...alone.told,

    rulesFor: ({ hasSecondFactor = false }) => (hasSecondFactor ? beside : alone).told,

    async check(password, owner) {
      if (!password.isWellFormed()) throw unacceptablePassword([{ code: 'password.not_typeable' }]);
      // Bounds the work of the rules; no normalised text within the limit is longer than this.
      if (password.length > 8 * MAX_LENGTH)
        throw unacceptablePassword([{ code: 'password.too_long', values: { max: MAX_LENGTH } }]);

      const normalized = password.normalize('NFC');
      const { kept } = owner.hasSecondFactor ? beside : alone;
      const faults = kept.map((rule) => rule(normalized, owner)).filter(isFault);
      if (faults.length > 0) throw unacceptablePassword(faults);

      const found = await Promise.all(blocklists.map((blocklist) => blocklist(normalized, owner)));
      if (found.some(isFault)) throw unacceptablePassword(found.filter(isFault));
    },
  };
}

function isFault(fault: PasswordFault | undefined): fault is PasswordFault {
  return fault !== undefined;
}
