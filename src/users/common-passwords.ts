import type { Blocklist } from './password-policy.ts';

/** Its work grows with the square of the length, and nothing longer is in any list. */
const LONGEST_PART = 64;
/** Guesses that an attacker who knows the lists would need, as a power of ten. */
const FEWEST_ALONE = 10;
/** With a second factor, as many as eight random digits; they are counted as exactly that. */
const FEWEST_BESIDE = 8;

let estimator: ReturnType<typeof load> | undefined;

/**
 * Passwords that are one of the 49,000 most common ones or made from few of them, from words, years and patterns of the
 * keyboard, as zxcvbn counts. It takes 20 ms and 30 MB to load and is loaded when the first password is chosen.
 */
export const commonPasswords: Blocklist = async (password, { hasSecondFactor = false }) => {
  const { check } = await (estimator ??= load());
  const fewest = hasSecondFactor ? FEWEST_BESIDE : FEWEST_ALONE;
  // A strong part makes a strong password, whatever surrounds it.
  const parts = new Set([password.slice(0, LONGEST_PART), password.slice(-LONGEST_PART)]);
  const isStrong = [...parts].some((part) => check(part).guessesLog10 >= fewest);
  return isStrong ? undefined : { code: 'password.common' };
};

async function load() {
  const [{ ZxcvbnFactory }, { adjacencyGraphs, dictionary }] = await Promise.all([
    import('@zxcvbn-ts/core'),
    import('@zxcvbn-ts/language-common'),
  ]);
  const factory = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs, maxLength: LONGEST_PART });
  return { check: (password: string) => factory.check(password) };
}
