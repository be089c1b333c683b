import type { Device } from './device.ts';

/**
 * What people and administrators see of browser sessions: on which device, since when, for which apps. The
 * session itself is a row of the protocol engine; both are written by the same statements, so neither can
 * say what the other does not (src/oidc/adapter/session-rows.ts). This folder owns the ledger `user_sessions`
 * and what is decided about it.
 */
export interface UserSession {
  /** What the outside knows it by; the engine's id is the browser's cookie. */
  id: string;
  userId: string;
  device: Device;
  /** Where it was seen last. */
  ip: string | null;
  createdAt: Date;
  /** At most a few minutes old. */
  lastSeenAt: Date;
  /** When the person last proved who they are, and how (RFC 8176 names). */
  authenticatedAt: Date;
  methods: readonly string[];
  /** Apps that were signed in to with it. */
  clientIds: readonly string[];
  /** When it ends if nobody uses it. */
  endsAt: Date;
}

/** Why a session ended before its time. */
export type SessionEndReason =
  /** In its own browser. */
  | 'signed_out'
  /** From another one, or by an administrator. */
  | 'revoked'
  /** Everything of the user ended: disabled, deleted, a new password. */
  | 'access_ended'
  /** The person has newer ones, and as many as one person may. */
  | 'too_many';

/**
 * However often it is used, a session ends this long after the person last proved who they are. NIST SP
 * 800-63B-4 §2.1.3 asks for no more than 30 days where a password alone is enough.
 */
export const SESSION_ABSOLUTE_SECONDS = 30 * 86_400;

/**
 * So many a person may have at once; a job ends those used longest ago. All of them cost something when they end, and
 * somebody who signs in for every call would make one each time.
 */
export const MOST_LIVE_SESSIONS = 200;
