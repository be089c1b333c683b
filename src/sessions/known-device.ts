import type { Knex } from 'knex';
import { sha256 } from '../lib/ids.ts';
import { neighbourhoodOf } from '../lib/networks.ts';
import { describeDevice } from './device.ts';
import type { Device } from './device.ts';

/**
 * Whether somebody was signed in before on such a device in such a network: for sign-ins that bring no cookie
 * to know a browser by. A device says of itself what it likes, and most people's say the same; so it is the
 * network that somebody else has not got.
 */
export interface PlacedDevice {
  device: Device;
  /** As `neighbourhoodOf`; null where the address is not known. */
  network: string | null;
}

/** Whoever signs in more often than that is compared with the latest alone. */
const MOST_COMPARED = 200;

export function placedDevice({
  ip,
  userAgent,
}: {
  ip?: string | undefined;
  userAgent?: string | undefined;
}): PlacedDevice {
  return { device: describeDevice(userAgent), network: neighbourhoodOf(ip) ?? null };
}

/** A name for it that says nothing of it. */
export function placedDeviceKey({ device, network }: PlacedDevice): string {
  const { browser, os, kind } = device;
  return sha256(JSON.stringify([browser, os, kind, network])).toString('base64url');
}

/**
 * Selects a row for a known device, and for who has never signed in. Takes `knownDevice`. Sessions that have ended
 * count as long as the ledger has them.
 */
export const IS_KNOWN_DEVICE = `
  WITH earlier AS (
    SELECT browser, os, device_kind, ip FROM user_sessions
     WHERE tenant_id = ?::uuid AND user_id = ?::uuid ORDER BY id DESC LIMIT ${MOST_COMPARED})
  SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM earlier) OR EXISTS (
    SELECT 1 FROM earlier
     WHERE (browser, os, device_kind) IS NOT DISTINCT FROM (?::text, ?::text, ?::text)
       AND coalesce(ip <<= ?::inet, ip IS NULL AND ?::inet IS NULL))`;

export function knownDevice(
  { tenantId, userId }: { tenantId: string; userId: string },
  { device, network }: PlacedDevice,
): Knex.RawBinding[] {
  return [tenantId, userId, device.browser, device.os, device.kind, network, network];
}
