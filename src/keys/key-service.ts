import type { Db } from '../db/database.ts';
import { systemActor } from '../http/actor.ts';
import type { Actor } from '../http/actor.ts';
import type { Sealer } from '../lib/sealer.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { applyKeyChanges, prepareMaterial } from './apply-key-changes.ts';
import type { KeyTransition } from './apply-key-changes.ts';
import { fail } from './key-errors.ts';
import {
  keyTiming,
  nextReadyAt,
  planMissing,
  planRevocation,
  planRotation,
  planSchedule,
} from './key-life-cycle.ts';
import type { KeyChange } from './key-life-cycle.ts';
import { rewrapSigningKeys } from './rewrap-keys.ts';
import { openJwk } from './sealed-jwk.ts';
import { SIGNING_ALGS } from './signing-key.ts';
import type { PrivateJwk, SigningAlg, SigningKey } from './signing-key.ts';
import { databaseTime, signingKeyStore } from './signing-key-store.ts';

export type KeyService = ReturnType<typeof createKeyService>;

export interface KeyServiceOptions {
  db: Db;
  sealer: Sealer;
  /** For the ids of rows alone: every decision goes by the database's time, which replicas share. */
  now: () => Date;
  /** How long others may cache the JWKS. */
  jwksMaxAgeSeconds: number;
  /** The longest life of anything that is signed: ID tokens, JWT access tokens of any resource. */
  longestTokenSeconds: number;
  rotationDays: number;
}

/** @returns the changes to make; throws to refuse */
type Plan = (keys: SigningKey[], at: Date) => KeyChange[];

/**
 * Every change is decided and made under the lock of the tenant's row, with its events and the raised
 * version in the same transaction, so any number of replicas and commands may do it at once.
 */
export function createKeyService({ db, sealer, now, ...periods }: KeyServiceOptions) {
  const timing = keyTiming(periods);

  async function carryOut(from: Db, actor: Actor, plan: Plan): Promise<KeyTransition[]> {
    const look = async (trx: Db) => {
      const at = await databaseTime(trx);
      return { at, changes: plan(await signingKeyStore(trx, actor.tenantId).list(), at) };
    };

    // A first look without the lock: mostly nothing is due, and otherwise it tells which key pairs to make before
    // others have to wait.
    const first = await look(from);
    if (first.changes.length === 0) return [];
    const material = await prepareMaterial(first.changes);

    return from.transaction(async (trx) => {
      // The row that a raised version is written to, so that there is one lock only and no order to get wrong.
      if (!(await tenantStore(trx).lock(actor.tenantId))) throw fail('not_found');
      const { at, changes } = await look(trx);
      return applyKeyChanges(trx, actor, changes, { at, sealer, material, now });
    });
  }

  return {
    /** Makes every algorithm have a current and a next key, in the caller's transaction. */
    ensureKeys: async (trx: Db, tenantId: string): Promise<void> => {
      await carryOut(trx, systemActor(tenantId), planMissing);
    },

    /**
     * The published keys with their private halves, by algorithm, each with its current key first: the
     * protocol engine signs with the first that fits.
     *
     * @throws {AppError} `signing_key.cannot_open` when one of them cannot be opened, `signing_key.missing`
     */
    async signingJwks(tenantId: string): Promise<PrivateJwk[]> {
      const keys = await signingKeyStore(db, tenantId).listSealed();
      if (keys.length === 0) throw fail('missing');
      return keys.map((key) => openJwk(sealer, key));
    },

    /** All keys, gone and revoked ones too, oldest first; never the private half. */
    list(tenantId: string): Promise<SigningKey[]> {
      return signingKeyStore(db, tenantId).list();
    },

    /**
     * The next key becomes the current one, and a new next key is made.
     *
     * @param alg without it, all algorithms, or none if one is refused
     * @param force does not wait until everybody can know the next key: some verifiers will refuse tokens
     *   until their copy of the JWKS runs out
     * @throws {AppError} `signing_key.next_too_new` with the seconds to wait
     */
    rotate(
      actor: Actor,
      { alg, force = false }: { alg?: SigningAlg | undefined; force?: boolean | undefined } = {},
    ): Promise<KeyTransition[]> {
      const algs = alg ? [alg] : SIGNING_ALGS;
      return carryOut(db, actor, (keys, at) => {
        const readyAt = latest(algs.map((each) => nextReadyAt(keys, each, timing)));
        if (readyAt > at && !force) throw tooNew(readyAt, at);
        return algs.flatMap((each) => planRotation(keys, each, force ? 'forced' : 'requested'));
      });
    },

    /**
     * For a key that may have leaked: it leaves the JWKS at once, and what it signed does not verify any
     * more. If it was the current one, the next takes its place. Doing it again changes nothing.
     *
     * @throws {AppError} `signing_key.not_found`
     */
    revoke(actor: Actor, kid: string): Promise<KeyTransition[]> {
      return carryOut(db, actor, (keys) => {
        const key = keys.find((each) => each.kid === kid);
        if (!key) throw fail('not_found');
        return planRevocation(keys, key);
      });
    },

    /** Does what is due: rotations, removal of retired keys, keys that are missing. Mostly one quick look. */
    runSchedule(tenantId: string): Promise<KeyTransition[]> {
      return carryOut(db, systemActor(tenantId), (keys, at) => planSchedule(keys, at, timing));
    },

    /** Seals the keys of all tenants under the current master key; see `rewrapSigningKeys`. */
    rewrap(actor: Actor) {
      return rewrapSigningKeys({ db, sealer, actor });
    },
  };
}

/** The epoch when there is none. */
function latest(dates: readonly (Date | undefined)[]): Date {
  return new Date(Math.max(0, ...dates.map((date) => date?.getTime() ?? 0)));
}

function tooNew(readyAt: Date, at: Date) {
  return fail('next_too_new', {
    retryAfterSeconds: Math.ceil((readyAt.getTime() - at.getTime()) / 1000),
    message: `The next signing key was published too recently for everybody to know it. Try again after ${readyAt.toISOString()}, or force it: some tokens will then be refused until caches run out.`,
  });
}
