import assert from 'node:assert/strict';
import { PERMISSIONS } from '../../src/access/permissions.ts';
import { describeGroup } from '../../src/interactions/scope-texts.ts';
import type { ConsentScope } from '../../src/interactions/scope-texts.ts';
import type { Translator } from '../../src/i18n/translations.ts';
import { english, translations } from '../support/translations.ts';

describe('the texts of scopes', () => {
  const describeScopes = (scopes: ConsentScope[], translator: Translator) =>
    describeGroup({ resource: { name: 'Invoices' }, scopes }, translator).sections;
  const scope = (name: string, description: string | null = null) => ({ name, description, isNew: false });

  it('say the standard ones in plain words, what lasts apart', () => {
    const sections = describeScopes(
      [scope('openid'), scope('offline_access'), scope('email')],
      english.page(),
    );

    assert.deepEqual(
      sections.map(({ kind, items }) => [kind, items.map(({ text }) => text)]),
      [
        ['read', ['Your account ID, to recognize you', 'Your email address']],
        ['keep', ['Keep this access when you are not using the app']],
      ],
    );
  });

  it('call reading only what surely changes nothing', () => {
    const kindOf = (name: string) => describeScopes([scope(name)], english.page())[0]?.kind;

    for (const name of ['read', 'invoices:read', 'calendar.readonly', 'files/list', 'view_orders'])
      assert.equal(kindOf(name), 'read', name);
    for (const name of ['write', 'invoices:write', 'already', 'readwrite', 'getaway', 'admin', 'constructor'])
      assert.equal(kindOf(name), 'change', name);
  });

  it("use the API's own words, and the name where there are none", () => {
    const [section] = describeScopes(
      [scope('a:write', 'Change a'), scope('b:write'), scope('c:write', '')],
      english.page(),
    );

    assert.deepEqual(
      section?.items.map(({ text }) => text),
      ['Change a', 'b:write', 'c:write'],
    );
  });

  it('say what this server’s own API allows in every language', () => {
    for (const locale of translations.locales) {
      const scopes = Object.keys(PERMISSIONS).map((name) => scope(name, 'in English'));
      const { title, sections } = describeGroup({ resource: 'own_api', scopes }, translations.for(locale));

      const texts = sections.flatMap(({ items }) => items.map(({ text }) => text));
      assert.equal(new Set([title, ...texts]).size, scopes.length + 1);
      assert.doesNotMatch([title, ...texts].join(), /in English|interactions\.|\w:\w/);
    }
  });

  it('say claims in the language of who reads them, and name those that nobody knows', () => {
    const claim = (name: string) => ({ ...scope(name), isClaim: true });
    const inGerman = describeScopes([claim('given_name'), claim('shoe_size')], translations.for('de'));

    assert.deepEqual(
      inGerman[0]?.items.map(({ text }) => text),
      ['Ihr Vorname', 'Ihre Angabe „shoe size“'],
    );
    assert.equal(inGerman[0]?.kind, 'read');
  });
});
