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
/** A password hash takes as long as hundreds of other requests: more of them only wait. */
export const SIGN_IN_WORKERS = 8;

export type Person = Target['users'][number];

/** The person of a worker that goes on using what it got from one sign-in. */
export function personOf({ users }: Target, worker: number): Person {
  return one(users.slice(0, WORKERS), worker);
}

/** Somebody who signs in again and again; nobody of `personOf`, whose sessions would make room for the new ones. */
export function visitorOf({ users }: Target, turn: number): Person {
  return one(users.slice(WORKERS), turn);
}

function one(people: readonly Person[], turn: number): Person {
  const person = people[turn % people.length];
  if (!person) throw new Error('the server has too few users');
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
