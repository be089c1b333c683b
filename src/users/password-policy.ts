import { unacceptablePassword } from './password-errors.ts';
import type { PasswordFault } from './password-errors.ts';

/**
 * Which passwords are good enough (NIST SP 800-63B-4 §3.1.1.2): long ones that nobody would try first. No rules about
 * kinds of characters and no expiry, which make people choose worse ones.
 */

/** What an attacker knows about the person and so tries first. */
interface PasswordContext {
  email?: string | undefined;
  tenantName?: string | undefined;
}

/** What to tell people and password managers before a password is typed; the same wherever one is chosen. */
export interface PasswordRules {
  hint: string;
  /** In characters, which are Unicode code points. */
  minLength: number;
  maxLength: number;
}

export interface PasswordPolicy extends Readonly<PasswordRules> {
  /** @throws {AppError} `password.unacceptable`, with a sentence for every fault under `/password` */
  check(password: string, context: PasswordContext): void;
}

/** Says what is wrong, or nothing. `password` is in NFC. */
type Rule = (password: string, context: PasswordContext) => PasswordFault | undefined;

/** SP 800-63B asks for at least 64; a bound keeps a password from being a way to send megabytes. */
const MAX_LENGTH = 256;
/** Fewer than this many unrelated steps is something like `abcdefgh12345678`. */
const MIN_STEPS = 6;
/** What must be left of a password beside the words an attacker would try first. */
const MIN_OWN_STEPS = 8;
/** Shorter words are in half of all pass phrases. */
const MIN_CONTEXT_WORD = 4;

const ROWS = ['1234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm', 'qwertzuiop', 'azertyuiop', 'yxcvbnm'];
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  l: 'i',
  '!': 'i',
  '3': 'e',
  '4': 'a',
  '@': 'a',
  '5': 's',
  $: 's',
  '7': 't',
};

/**
 * @param minLength in characters (Unicode code points)
 * @param productName a word of the context, as the tenant's name is
 */
export function createPasswordPolicy({
  minLength,
  productName = 'Gatehouse',
}: {
  minLength: number;
  productName?: string;
}): PasswordPolicy {
  // A blocklist is one more rule here.
  const rules: readonly Rule[] = [
    (password) => lengthFault(password, minLength),
    (password) => repetitionFault(password, minLength),
    sequenceFault,
    (password, context) => contextFault(password, [...contextWords(context), ...wordsOf(productName)]),
  ];

  return {
    hint: `At least ${minLength} characters. A few unrelated words are easy to remember and hard to guess.`,
    minLength,
    maxLength: MAX_LENGTH,

    check(password, context) {
      if (!password.isWellFormed())
        throw unacceptablePassword([
          { code: 'password.not_typeable', message: 'Use only characters that a keyboard can type.' },
        ]);
      // Bounds the work of the other rules; no normalised text within the limit is longer than this.
      if (password.length > 8 * MAX_LENGTH) throw unacceptablePassword([tooLong()]);

      const normalized = password.normalize('NFC');
      const faults = rules.map((rule) => rule(normalized, context)).filter((fault) => fault !== undefined);
      if (faults.length > 0) throw unacceptablePassword(faults);
    },
  };
}

function lengthFault(password: string, minLength: number): PasswordFault | undefined {
  const { length } = charactersOf(password);
  if (length > MAX_LENGTH) return tooLong();
  if (length >= minLength) return undefined;
  return {
    code: 'password.too_short',
    values: { min: minLength, length },
    message: `Use at least ${minLength} characters; this has ${length}.`,
  };
}

function tooLong(): PasswordFault {
  return {
    code: 'password.too_long',
    values: { max: MAX_LENGTH },
    message: `Use at most ${MAX_LENGTH} characters.`,
  };
}

/** `passpasspasspass`: as easy to guess as the part that repeats. */
function repetitionFault(password: string, minLength: number): PasswordFault | undefined {
  const characters = charactersOf(password.toLowerCase());
  const longest = Math.min(minLength - 1, Math.floor(characters.length / 2));
  for (let period = 1; period <= longest; period += 1) {
    if (characters.every((character, index) => character === characters[index % period])) {
      return {
        code: 'password.repetitive',
        message: 'It repeats the same few characters; add different ones.',
      };
    }
  }
  return undefined;
}

/** `abcdefgh12345678`, `qwertyuiopasdfgh`, `aaaaaaabbbbbbb`. */
function sequenceFault(password: string): PasswordFault | undefined {
  return stepsOf(password.toLowerCase()) < MIN_STEPS
    ? {
        code: 'password.sequence',
        message: 'It is a sequence of neighbouring characters; use unrelated ones.',
      }
    : undefined;
}

/** `Gatehouse2026!!` or the e-mail address with a number behind it. A word amid other words does no harm. */
function contextFault(password: string, words: readonly string[]): PasswordFault | undefined {
  let rest = fold(password);
  // Longest first: an e-mail address goes as a whole before its parts do.
  for (const word of words.map(fold).sort((a, b) => b.length - a.length)) {
    if (charactersOf(word).length >= MIN_CONTEXT_WORD) rest = rest.replaceAll(word, ' ');
  }
  if (rest === fold(password)) return undefined;
  return stepsOf(rest.replaceAll(' ', '')) < MIN_OWN_STEPS
    ? {
        code: 'password.predictable',
        message: 'It is made from your e-mail address or the name of this service; use other words.',
      }
    : undefined;
}

function contextWords({ email = '', tenantName = '' }: PasswordContext): string[] {
  const [localPart = '', domain = ''] = email.split('@');
  return [email, localPart, domain, ...wordsOf(localPart), ...wordsOf(domain), ...wordsOf(tenantName)];
}

/** The text as a whole, its words run together, and each word. */
function wordsOf(text: string): string[] {
  const words = text.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return [text, words.join(''), ...words];
}

function fold(text: string): string {
  return charactersOf(text.normalize('NFC').toLowerCase())
    .map((character) => LOOK_ALIKES[character] ?? character)
    .join('');
}

/** Code points, as SP 800-63B counts a password's length. */
function charactersOf(text: string): string[] {
  return Array.from(text);
}

/** How many times the text goes on with something other than the same or a neighbouring character. */
function stepsOf(text: string): number {
  const characters = charactersOf(text);
  return characters.filter((character, index) => !areNeighbours(characters[index - 1], character)).length;
}

function areNeighbours(a: string | undefined, b: string): boolean {
  if (a === undefined) return false;
  const distance = Math.abs((a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0));
  if (distance <= 1) return true;
  return ROWS.some(
    (row) => row.includes(a) && row.includes(b) && Math.abs(row.indexOf(a) - row.indexOf(b)) === 1,
  );
}
