import { hash } from 'node:crypto';
import { hashId } from './stored-model.ts';

/**
 * Where tokens lie. Their tables are cut into eight parts, the slots, by the first three bits of the id's
 * hash, and an id is drawn until these bits say when the token will be gone. So a slot holds what ends
 * within one period; once that is over, all of it goes in one step, and eight periods later the slot is
 * used again (docs/adr/0013).
 *
 * Nothing but that step depends on it: a row is found by its hash, wherever that is, also where an older
 * version drew the id or a clock was wrong.
 */
const SLOT_COUNT = 8;
const SLOT_BITS = 3;

/** 64 characters, so that two of them are 4,096 draws where eight are needed on average. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const SLOTTED_TABLES = ['oidc_models_tokens', 'oidc_models_refresh_tokens'] as const;

type SlottedTable = (typeof SLOTTED_TABLES)[number];

/** The kinds of models that lie in slots. */
const TABLE_OF: Readonly<Record<string, SlottedTable>> = {
  AccessToken: 'oidc_models_tokens',
  AuthorizationCode: 'oidc_models_tokens',
  ClientCredentials: 'oidc_models_tokens',
  RefreshToken: 'oidc_models_refresh_tokens',
};

/** Six of the eight periods: what lives the longest still leaves one slot to be emptied and one to spare. */
const PERIODS_OF_LONGEST_LIFE = 6;
/** An access token lives a day at most. */
const LONGEST_TOKEN_LIFE_SECONDS = 86_400;

/** Seconds that the period of a slot lasts, by how long the longest-lived row is kept. */
export function slotSecondsOf(model: string, lives: { refreshAbsoluteSeconds: number }): number {
  return periodOf(TABLE_OF[model] ?? 'oidc_models_tokens', lives);
}

/** Every slot by itself, with the seconds its period lasts. */
export function allSlots(lives: { refreshAbsoluteSeconds: number }): { table: string; seconds: number }[] {
  return SLOTTED_TABLES.flatMap((parent) =>
    Array.from({ length: SLOT_COUNT }, (_, slot) => ({
      table: `${parent}_${slot}`,
      seconds: periodOf(parent, lives),
    })),
  );
}

function periodOf(table: SlottedTable, { refreshAbsoluteSeconds }: { refreshAbsoluteSeconds: number }) {
  const longest = table === 'oidc_models_tokens' ? LONGEST_TOKEN_LIFE_SECONDS : refreshAbsoluteSeconds;
  return Math.ceil(longest / PERIODS_OF_LONGEST_LIFE);
}

/** @param expiresAt seconds since the epoch */
export function slotAt(expiresAt: number, slotSeconds: number): number {
  return Math.floor(expiresAt / slotSeconds) % SLOT_COUNT;
}

export function slotOf(idHash: Buffer): number {
  return idHash.readUInt8(0) >> (8 - SLOT_BITS);
}

/**
 * Lengthens an id by two characters so that its row lies in the slot. They follow from the rest, and take
 * nothing from its randomness but the slot's three bits.
 */
export function drawId(stem: string, slot: number): string {
  for (const high of ALPHABET) {
    for (const low of ALPHABET) {
      const id = `${stem}${high}${low}`;
      if (slotOf(hash('sha256', id, 'buffer')) === slot) return id;
    }
  }
  // One in 10^237.
  throw new Error('no id in the slot');
}

/**
 * The table to ask for one row: the slot itself, so that a prepared statement is planned for, and locks,
 * one table instead of eight. It is a part of the statement's name.
 */
export function placeOf(model: string, id: string): { table: string; label: string; idHash: Buffer } {
  const idHash = hashId(id);
  const parent = TABLE_OF[model];
  if (parent === undefined) return { table: 'oidc_models', label: model, idHash };
  const slot = slotOf(idHash);
  return { table: `${parent}_${slot}`, label: `${model}#${slot}`, idHash };
}
