import { randomInt } from 'node:crypto';

const CONSONANTS = 'bdfgjklmnprstvz';
const VOWELS = 'aeiou';
const FEWEST_WORDS = 4;

/**
 * Made-up words that are easy to read out and to type, such as `bafor-milud-kesat-nopiv`; four of them
 * have 65 bits of chance.
 */
export function readablePassword(minLength: number): string {
  const words: string[] = [];
  while (words.length < FEWEST_WORDS || words.join('-').length < minLength) words.push(word());
  return words.join('-');
}

function word(): string {
  return [CONSONANTS, VOWELS, CONSONANTS, VOWELS, CONSONANTS].map(pick).join('');
}

function pick(letters: string): string {
  return letters.charAt(randomInt(letters.length));
}
