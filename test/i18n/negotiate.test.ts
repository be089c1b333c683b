import assert from 'node:assert/strict';
import { fromAcceptLanguage, fromUiLocales, matchLocale } from '../../src/i18n/negotiate.ts';

const LOCALES = ['en', 'ar', 'de', 'fr', 'pt-BR'];

describe('the language somebody means', () => {
  const tags: [tag: string, locale: string | undefined][] = [
    ['de', 'de'],
    ['DE', 'de'],
    ['de-AT', 'de'],
    ['de_AT', 'de'],
    ['ar-Arab-EG-u-nu-arab', 'ar'],
    ['pt-BR', 'pt-BR'],
    ['pt-br', 'pt-BR'],
    ['pt', undefined],
    ['nl', undefined],
    ['den', undefined],
    ['', undefined],
    ['-', undefined],
    ['constructor', undefined],
  ];
  for (const [tag, locale] of tags) {
    it(`is ${locale ?? 'unknown'} for ${tag || 'an empty tag'}`, () => {
      assert.equal(matchLocale(tag, LOCALES), locale);
    });
  }

  it('is the first of ui_locales that there is', () => {
    assert.equal(fromUiLocales('nl fr-CA de', LOCALES), 'fr');
    assert.equal(fromUiLocales('nl', LOCALES), undefined);
    assert.equal(fromUiLocales('', LOCALES), undefined);
  });

  const headers: [header: string, locale: string | undefined][] = [
    ['de-AT,de;q=0.9,en;q=0.8', 'de'],
    ['en;q=0.1, fr;q=0.9, de;q=0.5', 'fr'],
    ['nl, fr;q=0.5', 'fr'],
    ['de;q=0, fr;q=0.001', 'fr'],
    ['fr ; q=0.2 , de ; Q=0.7', 'de'],
    ['de;q=2, fr;q=nonsense, ar;q=0.3', 'ar'],
    ['*', undefined],
    ['', undefined],
    [';;;,,,q=1', undefined],
  ];
  for (const [header, locale] of headers) {
    it(`is ${locale ?? 'unknown'} for Accept-Language: ${header}`, () => {
      assert.equal(fromAcceptLanguage(header, LOCALES), locale);
    });
  }

  it('costs next to nothing to find out, whatever is sent', () => {
    const hostile = [
      'a-'.repeat(8000),
      'nl,'.repeat(8000),
      ';q=0.5'.repeat(3000),
      ' '.repeat(16_000),
      '-'.repeat(16_000),
    ];
    const started = performance.now();

    for (let round = 0; round < 100; round += 1) {
      for (const text of hostile) {
        assert.equal(fromAcceptLanguage(text, LOCALES), undefined);
        assert.equal(fromUiLocales(text, LOCALES), undefined);
        assert.equal(matchLocale(text, LOCALES), undefined);
      }
    }

    // 1500 of them; a way to make one of them slow would take seconds.
    assert.ok(performance.now() - started < 2000);
  });
});
