/**
 * Every event by name (`noun.verb_past`) and what it means. A row of `events` is the audit record and,
 * later, the message that goes out, so a name is a public promise: add names, never change one.
 * docs/events.md lists the same table; a test compares the two.
 */
export const EVENT_TYPES = {
  'tenant.created': 'A tenant was made, with its first signing keys.',
  'tenant.updated': "A tenant's name or settings were changed.",

  'user.created': 'A user was added.',
  'user.updated': "A user's e-mail address or profile was changed.",
  'user.login': 'A user signed in.',
  'user.login_failed': 'A sign-in was refused; the reason says why.',
  'user.logout': 'A user signed out.',
  'user.password_changed': "A user's password was set or replaced.",
  'user.disabled': 'A user was locked out by an administrator; sessions and grants ended.',
  'user.enabled': 'A disabled user may sign in again.',
  'user.unlocked': 'A locked account was opened, and failed sign-ins were forgotten; the reason says how.',
  'user.deleted':
    'A user was deleted; sessions and grants ended. Until they are erased they can be restored.',
  'user.restored': 'A deletion was taken back; the user is disabled.',
  'user.erased': 'Everything about a deleted user was erased but the id in the audit trail.',
  'users.imported': 'An import of users has ended; the data has its counts.',
  'users.exported':
    'Users were exported; the data says in which format, whether with password hashes, and after how many it was resumed.',

  'user.export_requested': 'A user asked for a copy of their data.',
  'user.export_ready': "A copy of a user's data was made.",
  'user.export_downloaded': 'A user fetched the copy of their data.',
  'user.deletion_requested':
    'A user asked for the end of their account; everything has ended, and it is deleted later.',
  'user.deletion_cancelled': 'A user signed in again, so their account is kept.',

  'auth.account_locked': 'An account was locked, by too many failures or by an administrator.',
  'auth.suspicious_activity':
    'Something happened at an account that its owner may not know of; see the reason.',

  'user.preferences_changed': 'A user’s preferences were changed.',
  'user.activity': 'A service reported something a user did; the data names it.',

  'client.created': 'A client was registered.',
  'client.updated': "A client's metadata or settings were changed.",
  'client.deleted': 'A client was deleted; its grants ended.',
  'client.disabled': 'A client was switched off; its grants ended.',
  'client.enabled': 'A disabled client may be used again.',
  'client.secret_rotated': 'A client got a new secret, beside the old one or in its place.',
  'client.secret_revoked': "One of a client's secrets was withdrawn.",

  'resource.created': 'A resource (an API that tokens are issued for) was registered.',
  'resource.updated': "A resource's scopes, token format or lifetime were changed.",
  'resource.deleted': 'A resource was deleted.',

  'signing_key.created': 'A signing key was made; as the next one it is published and does not sign yet.',
  'signing_key.activated': 'A signing key became the current one of its algorithm and signs from now on.',
  'signing_key.retired': 'A signing key signs no more; it stays published until what it signed has expired.',
  'signing_key.removed': 'A retired signing key left the JWKS and its private half was erased.',
  'signing_key.revoked': 'A signing key was withdrawn at once and its private half was erased.',
  'signing_key.rewrapped': 'Signing keys were sealed anew under the current master key.',

  'consent.granted': 'A user allowed a client scopes, claims or resources.',
  'consent.denied': 'A user refused what a client asked for.',
  'consent.revoked': 'A remembered consent was withdrawn.',
  'grant.revoked': 'A grant and every token issued from it were revoked.',
  'grant.reuse_detected': 'A code or refresh token was used a second time, so its grant was revoked.',
  'token.revoked': 'A single token was revoked.',
  'session.ended': 'A browser session was ended.',

  'auth.code_sent': 'A one-time code or link was mailed; the reason says for what.',
  'auth.code_refused': 'A one-time code was wrong, expired or already used up; the reason says which.',
  'user.password_reset': 'A user proved to read their address and set a new password.',
  'user.email_verified': 'A user proved to read the e-mail address of the account.',
  'user.activated': 'A pending user confirmed the account, which can be used from now on.',
  'user.signed_up': 'A user made an account by themselves.',
  'user.invited': 'A user was sent an invitation.',
  'user.email_changed': "A user's e-mail address was replaced by one they proved to read.",
  'user.email_change_undone': 'A change of e-mail address was undone from the former address.',

  'mail.failed': 'A mail could not be delivered and is not tried again; the reason says why.',

  'admin.link_issued': 'A single-use set-up link for an administrator was made.',
  'admin.created': 'An administrator account was set up.',

  'role.assigned': 'A user was given a role.',
  'role.unassigned': 'A role was taken from a user.',
} as const satisfies Record<string, string>;

export type EventType = keyof typeof EVENT_TYPES;
