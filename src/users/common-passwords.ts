import { createPasswordEstimator } from './password-estimator.ts';
import type { Blocklist } from './password-policy.ts';

/** Its work grows with the square of the length, and nothing longer is in any list. */
const LONGEST_PART = 64;
/** Guesses that an attacker who knows the lists would need, as a power of ten. */
const FEWEST_ALONE = 10;
/** With a second factor, as many as eight random digits; they are counted as exactly that. */
const FEWEST_BESIDE = 8;

const estimator = createPasswordEstimator();

/**
 * Passwords that are one of the 49,000 most common ones or made from few of them, from words, years and patterns of the
 * keyboard, as zxcvbn counts.
 */
export const commonPasswords: Blocklist = async (password, { hasSecondFactor = false }) => {
  const fewest = hasSecondFactor ? FEWEST_BESIDE : FEWEST_ALONE;
  // A strong part makes a strong password, whatever surrounds it.
  const parts = new Set([password.slice(0, LONGEST_PART), password.slice(-LONGEST_PART)]);
  const guesses = await estimator.guessesLog10([...parts]);
  return guesses.some((guess) => guess >= fewest) ? undefined : { code: 'password.common' };
};
