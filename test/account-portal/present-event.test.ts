import assert from 'node:assert/strict';
import { presentEvent } from '../../src/account-portal/present-event.ts';
import { EVENT_TYPES } from '../../src/events/event-types.ts';
import type { UserEvent } from '../../src/events/user-events.ts';
import { translations } from '../support/translations.ts';

/** Of accounts; whoever was erased sees nothing any more. */
const OF_ACCOUNTS = /^(user|auth|consent|grant|token|session|role)\.(?!erased$)|^admin\.created$/;

describe('what happened in an account', () => {
  const event = (type: string, more: Partial<UserEvent> = {}): UserEvent => ({
    id: '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1d',
    type,
    at: new Date(0),
    byUser: true,
    aboutUser: true,
    reason: null,
    ip: null,
    userAgent: null,
    data: {},
    ...more,
  });

  it('is said in a sentence in every language, not by the name of the event', () => {
    const types = Object.keys(EVENT_TYPES).filter((type) => OF_ACCOUNTS.test(type));
    assert.ok(types.length > 30);
    for (const locale of translations.locales) {
      for (const type of types) {
        const { text } = presentEvent(event(type), translations.for(locale));

        assert.ok(!text.includes(type), `${locale}: ${text}`);
      }
    }
  });

  it('names what a service reported, and why something is suspicious', () => {
    const textOf = (type: string, reason: string) =>
      presentEvent(event(type, { reason }), translations.for('en')).text;

    assert.equal(textOf('user.activity', 'invoice.paid'), 'An app noted: invoice.paid.');
    assert.match(textOf('auth.suspicious_activity', 'guessing'), /wrong password/);
    assert.match(textOf('auth.suspicious_activity', 'something new'), /Something unusual/);
  });

  it('is not said of one’s own account where it happened to another one', () => {
    const { text } = presentEvent(event('user.disabled', { aboutUser: false }), translations.for('en'));

    assert.equal(text, 'In another account: user.disabled.');
  });
});
