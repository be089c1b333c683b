import type { PasswordFault } from './password-errors.ts';

/**
 * The rules that need nothing but the password and what an attacker knows about the person. Each is a pure function, and
 * its work is bounded by the longest password.
 */

/** What an attacker knows about the person and so tries first. */
export interface PasswordContext {
  email?: string | undefined;
  tenantName?: string | undefined;
  /** The person's own. */
  names?: readonly string[] | undefined;
}

/** Says what is wrong, or nothing. `password` is in NFC. */
export type Rule = (password: string, context: PasswordContext) => PasswordFault | undefined;

/** SP 800-63B asks for at least 64; a bound keeps a password from being a way to send megabytes. */
export const MAX_LENGTH = 256;
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

export function lengthRule(minLength: number): Rule {
  return (password) => {
    const { length } = charactersOf(password);
    if (length < minLength) return { code: 'password.too_short', values: { min: minLength, length } };
    return length > MAX_LENGTH ? { code: 'password.too_long', values: { max: MAX_LENGTH } } : undefined;
  };
}

/** `passpasspasspass`: as easy to guess as the part that repeats. */
export function repetitionRule(minLength: number): Rule {
  return (password) => {
    const characters = charactersOf(password.toLowerCase());
    const longest = Math.min(minLength - 1, Math.floor(characters.length / 2));
    for (let period = 1; period <= longest; period += 1) {
      if (characters.every((character, index) => character === characters[index % period])) {
        return { code: 'password.repetitive' };
      }
    }
    return undefined;
  };
}

/** `abcdefgh12345678`, `qwertyuiopasdfgh`, `aaaaaaabbbbbbb`. Of what has hardly any characters the length says enough. */
export const sequenceRule: Rule = (password) =>
  charactersOf(password).length >= MIN_STEPS && stepsOf(password.toLowerCase()) < MIN_STEPS
    ? { code: 'password.sequence' }
    : undefined;

/**
 * `Gatehouse2026!!` or the e-mail address with a number behind it. A word amid other words does no harm.
 * @param serviceWords names of the product and of the server
 */
export function contextRule(serviceWords: readonly string[]): Rule {
  const ownWords = serviceWords.flatMap(wordsOf);
  return (password, context) => {
    let rest = fold(password);
    // Longest first: an e-mail address goes as a whole before its parts do.
    for (const word of [...contextWords(context), ...ownWords]
      .map(fold)
      .sort((a, b) => b.length - a.length)) {
      if (charactersOf(word).length >= MIN_CONTEXT_WORD) rest = rest.replaceAll(word, ' ');
    }
    if (rest === fold(password)) return undefined;
    return stepsOf(rest.replaceAll(' ', '')) < MIN_OWN_STEPS ? { code: 'password.predictable' } : undefined;
  };
}

function contextWords({ email = '', tenantName = '', names = [] }: PasswordContext): string[] {
  const [localPart = '', domain = ''] = email.split('@');
  return [
    email,
    localPart,
    domain,
    ...[localPart, domain, tenantName, ...names].flatMap((text) => wordsOf(text.slice(0, MAX_LENGTH))),
  ];
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
