import { z } from 'zod';
import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { userChanges } from './user-changes.ts';
import { userError } from './user-errors.ts';
import { preferencesStore } from './preferences-store.ts';
import type { UserService } from './user-service.ts';
import { userStore } from './user-store.ts';

/**
 * How somebody wants things to be. Nothing here decides what they may do. Language and time zone are claims of the
 * profile as well, where apps, screens and mails read them: they are kept there alone.
 */

const MAX_CUSTOM = 50;
const custom = z.record(
  z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/, 'must be lower-case letters, digits, `_`, `.` and `-`'),
  z.union([z.string().max(500), z.number(), z.boolean(), z.null()]),
);

const fields = {
  locale: z
    .string()
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag, such as en or pt-BR')
    .max(35),
  time_zone: z.string().min(1).max(64).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Lisbon'),
  theme: z.enum(['system', 'light', 'dark']),
  product_mails: z.boolean().meta({ description: 'Whether to be told of news by mail.' }),
  custom: custom
    .refine(
      (members) => Object.keys(members).length <= MAX_CUSTOM,
      `must not have more than ${MAX_CUSTOM} members`,
    )
    .meta({ description: 'Whatever apps want to remember about the person.' }),
};

export const preferencesSchema = z
  .object({
    locale: z.string().optional().meta({
      description:
        'The claim `locale` of the profile. Screens and mails are in this language, if there are any in it.',
    }),
    time_zone: z.string().optional().meta({ description: 'The claim `zoneinfo` of the profile.' }),
    theme: fields.theme.optional(),
    product_mails: fields.product_mails.optional(),
    custom: fields.custom.optional(),
  })
  .meta({ id: 'Preferences' });

/** JSON merge patch (RFC 7396), one level into `custom`. */
export const preferencesPatch = z
  .strictObject({
    locale: fields.locale.nullable().optional(),
    time_zone: fields.time_zone.nullable().optional(),
    theme: fields.theme.nullable().optional(),
    product_mails: fields.product_mails.nullable().optional(),
    custom: fields.custom.nullable().optional(),
  })
  .meta({ id: 'PreferencesPatch', description: 'What is left out stays, `null` removes.' });

export type Preferences = z.output<typeof preferencesSchema>;
export type PreferenceService = ReturnType<typeof createPreferenceService>;

export function createPreferenceService({
  db,
  now,
  usersOn,
}: {
  db: Db;
  now: Clock;
  usersOn: (db: Db) => Pick<UserService, 'update'>;
}) {
  const change = userChanges(db);

  async function read(on: Db, { tenantId }: Actor, userId: string): Promise<Preferences> {
    const found = await userStore(on, tenantId).findWithProfile(userId);
    if (!found) throw userError('not_found');
    const { locale, zoneinfo } = found.profile.claims;
    const stored = await preferencesStore(on, tenantId).find(userId);
    return { ...stored, ...(locale && { locale }), ...(zoneinfo && { time_zone: zoneinfo }) };
  }

  return {
    /** @throws {AppError} `user.not_found` */
    get: (actor: Actor, userId: string): Promise<Preferences> => read(db, actor, userId),

    /**
     * @param checkCurrent sees the preferences as they are, under the lock, and may refuse by throwing
     * @throws {AppError} `user.not_found`, `user.preferences_too_large`
     */
    update(
      actor: Actor,
      userId: string,
      patch: z.output<typeof preferencesPatch>,
      checkCurrent: (current: Preferences) => void,
    ): Promise<Preferences> {
      return change(actor, userId, async (trx) => {
        const before = await read(trx, actor, userId);
        checkCurrent(before);
        const after = merge(before, patch);
        const { locale = null, time_zone: zoneinfo = null, ...others } = after;
        await usersOn(trx).update(actor, userId, { claims: { locale, zoneinfo } });
        await preferencesStore(trx, actor.tenantId).set(userId, others, now());
        await recordEvent(trx, actor, 'user.preferences_changed', {
          target: { type: 'user', id: userId },
          data: { changed: Object.keys(patch) },
        });
        return after;
      });
    },
  };
}

/** @throws {AppError} `user.preferences_too_large` */
function merge(
  before: Preferences,
  { custom: customPatch, ...patch }: z.output<typeof preferencesPatch>,
): Preferences {
  const custom = customPatch === null ? {} : withoutNull({ ...before.custom, ...customPatch });
  // The schema refuses them as well, but as if they were a bug of ours.
  if (Object.keys(custom).length > MAX_CUSTOM) throw userError('preferences_too_large');
  const merged: Record<string, unknown> = withoutNull({ ...before, ...patch });
  delete merged['custom'];
  if (Object.keys(custom).length > 0) merged['custom'] = custom;
  return preferencesSchema.parse(merged);
}

function withoutNull(members: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== null && value !== undefined),
  );
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
