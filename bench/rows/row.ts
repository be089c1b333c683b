import type { Connection } from '../connection.ts';
import type { Operation } from '../driver.ts';
import type { Target } from '../target.ts';

/** One line of the table: a kind of work, the same for every server. */
export interface Row {
  name: string;
  /** How many do it at once, each on a connection of its own. */
  workers: number;
  /** What the other server has no counterpart of. */
  only?: 'gatehouse';
  /** What by itself bounds how fast it can be, measured along with it. */
  bound?: 'password hash' | 'node:http';
  /**
   * Gets one worker ready, which is not measured.
   * @param worker counts from 0
   * @returns what the worker repeats; throws at any answer but the expected one
   */
  prepare(target: Target, connection: Connection, worker: number): Promise<Operation>;
}

export const WORKERS = 16;

/** The person of a worker. */
export function personOf({ users }: Target, worker: number): { email: string; password: string } {
  const person = users[worker % users.length];
  if (!person) throw new Error('the server has no users');
  return person;
}

export function algOf(jwt: string): string | undefined {
  const [header = ''] = jwt.split('.');
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString()).alg;
  } catch {
    return undefined;
  }
}
