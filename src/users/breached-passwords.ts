import { hash } from 'node:crypto';
import { breachChecks } from '../lib/instruments.ts';
import type { Logger } from '../lib/logger.ts';
import type { SafeFetch } from '../lib/safe-fetch.ts';
import type { Blocklist } from './password-policy.ts';

/** The service learns the first twenty bits, which hundreds of passwords share. */
const PREFIX_LENGTH = 5;

/**
 * Passwords in known data breaches, by a service with the interface of Have I Been Pwned (k-anonymity). It is asked last,
 * and where it does not answer in time the password passes: its outage must not keep anybody from changing a password that
 * somebody else knows. Such a check is counted and logged.
 * @param url the prefix of the hash is appended
 * @param fetch with a limit on time and size
 */
export function breachedPasswords({
  url,
  fetch,
  log,
}: {
  url: string;
  fetch: SafeFetch;
  log: Logger;
}): Blocklist {
  async function isListed(password: string): Promise<boolean> {
    const digest = hash('sha1', password, 'hex').toUpperCase();
    const response = await fetch(`${url}${digest.slice(0, PREFIX_LENGTH)}`, {
      // Answers of one length, so that nobody on the way can tell the prefix from it.
      headers: { 'add-padding': 'true', 'user-agent': 'gatehouse' },
    });
    if (response.status !== 200) throw new Error(`the service answered ${response.status}`);
    const suffix = digest.slice(PREFIX_LENGTH);
    return (await response.text()).split('\n').some((line) => {
      const [listed, count] = line.trim().split(':');
      // Padding has the count 0.
      return listed?.toUpperCase() === suffix && Number(count) > 0;
    });
  }

  return async (password) => {
    try {
      const isFound = await isListed(password);
      breachChecks.record({ outcome: isFound ? 'found' : 'clear' });
      return isFound ? { code: 'password.breached' } : undefined;
    } catch (err) {
      breachChecks.record({ outcome: 'unavailable' });
      log.warn({ err }, 'a password could not be looked up among breached ones, and was let through');
      return undefined;
    }
  };
}
