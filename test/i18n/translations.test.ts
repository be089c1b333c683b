import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTranslations } from '../../src/i18n/translations.ts';

describe('translations', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'locales-'));
  });

  afterEach(() => rm(dir, { recursive: true }));

  /** Of one file, `shop.json`, in each of the locales. */
  async function translationsOf(locales: Record<string, Record<string, string>>) {
    for (const [locale, texts] of Object.entries(locales)) {
      await mkdir(join(dir, locale));
      await writeFile(join(dir, locale, 'shop.json'), JSON.stringify(texts));
    }
    return createTranslations({ dir });
  }

  it('name the source first, and the direction each language is written in', async () => {
    const translations = await translationsOf({ ar: {}, de: {}, en: {} });

    assert.deepEqual(translations.locales, ['en', 'ar', 'de']);
    assert.deepEqual(
      translations.locales.map((locale) => translations.for(locale).dir),
      ['ltr', 'rtl', 'ltr'],
    );
    assert.throws(() => translations.for('xx'), /no texts in xx/);
  });

  it('put values in where the language wants them, and numbers in its digits', async () => {
    const translations = await translationsOf({
      en: { order: '{count, number} of {name}' },
      de: { order: '{name}: {count, number}' },
    });
    const values = { name: 'Tea', count: 12345 };

    assert.equal(translations.for('en').t('shop.order', values), '12,345 of Tea');
    assert.equal(translations.for('de').t('shop.order', values), 'Tea: 12.345');
  });

  it('choose among the six plural forms of Arabic', async () => {
    const forms = 'zero {z} one {o} two {t} few {f} many {m} other {x}';
    const translations = await translationsOf({
      en: { items: '{count, plural, other {x}}' },
      ar: { items: `{count, plural, ${forms}}` },
    });
    const { t } = translations.for('ar');

    assert.equal(
      [0, 1, 2, 3, 10, 11, 99, 100].map((count) => t('shop.items', { count })).join(''),
      'zotffmmx',
    );
  });

  it('fall back to the source for a text that a language lacks, and refuse one that nobody has', async () => {
    const translations = await translationsOf({ en: { only: 'Here' }, fr: {} });
    const french = translations.for('fr');

    assert.equal(french.t('shop.only'), 'Here');
    assert.equal(french.has('shop.only'), true);
    assert.equal(french.has('shop.none'), false);
    assert.throws(() => french.t('shop.none'), /no text shop.none/);
  });

  it('refuse to say a sentence that lacks a value', async () => {
    const { t, html } = (await translationsOf({ en: { hello: 'Hello {name}' } })).for('en');

    assert.throws(() => t('shop.hello'), /name/);
    assert.throws(() => html('shop.hello'), /name/);
  });

  it('leave tags out of plain text', async () => {
    const { t } = (
      await translationsOf({ en: { hello: 'Hello <b>{name}</b>, <terms>read this</terms>' } })
    ).for('en');

    assert.equal(t('shop.hello', { name: '<i>' }), 'Hello <i>, read this');
  });

  it('escape everything in HTML but the tags of the message', async () => {
    const { html } = (
      await translationsOf({ en: { hello: 'A & B: <b>{name}</b> & <terms>“it”</terms> {count, number}' } })
    ).for('en');

    assert.equal(
      html('shop.hello', { name: `<i>"'&`, terms: { href: '/terms?a=1&b="' }, count: 1234 }),
      'A &amp; B: <b><bdi>&lt;i&gt;&#34;&#39;&amp;</bdi></b> &amp; <a href="/terms?a=1&amp;b=&#34;">“it”</a> 1,234',
    );
  });

  it('link to nowhere rather than to what could run a script', async () => {
    const { html } = (await translationsOf({ en: { go: '<there>Go</there>' } })).for('en');

    for (const href of ['javascript:alert(1)', '//evil.example', '/\\evil.example', 'data:text/html,x']) {
      assert.equal(html('shop.go', { there: { href } }), '<a href="">Go</a>');
    }
    assert.throws(() => html('shop.go'), /<there> needs a value/);
  });

  it('choose by a text that is escaped where it is printed', async () => {
    const { html } = (await translationsOf({ en: { who: '{kind, select, a {A} other {{kind}}}' } })).for(
      'en',
    );

    assert.equal(html('shop.who', { kind: 'a' }), 'A');
    assert.equal(html('shop.who', { kind: '<b>' }), '<bdi>&lt;b&gt;</bdi>');
  });
});
