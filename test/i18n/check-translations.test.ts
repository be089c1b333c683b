import assert from 'node:assert/strict';
import { findTranslationFaults } from '../../scripts/translations/find-faults.ts';

type Texts = Record<string, unknown>;

/** Code that says every text of English, so that only what a test is about is at fault. */
function faultsOf(en: Texts, de: Texts, code?: string): string[] {
  const texts = (own: Texts) => new Map(Object.entries(own));
  const text =
    code ??
    Object.keys(en)
      .map((key) => `t('${key}');`)
      .join('\n');
  return findTranslationFaults({
    source: 'en',
    catalogues: new Map([
      ['en', texts(en)],
      ['de', texts(de)],
    ]),
    files: [{ path: 'src/a.ts', text }],
  });
}

describe('the check of translations', () => {
  it('passes what is complete', () => {
    const en = {
      'a.b': '{n, plural, one {# <b>day</b>} other {# <b>days</b>}}',
      'a.c': '{k, select, x {X} other {Y}}',
    };
    const de = {
      'a.b': '{n, plural, one {# <b>Tag</b>} other {# <b>Tage</b>}}',
      'a.c': '{k, select, x {X} other {Z}}',
    };

    assert.deepEqual(faultsOf(en, de), []);
  });

  const broken: [fault: string, en: Texts, de: Texts, line: RegExp][] = [
    ['a missing key', { 'a.b': 'B', 'a.c': 'C' }, { 'a.b': 'B' }, /^de: a\.c is missing$/],
    ['a key of one language only', { 'a.b': 'B' }, { 'a.b': 'B', 'a.x': 'X' }, /^de: a\.x is in no other/],
    ['an empty text', { 'a.b': 'B' }, { 'a.b': '' }, /^de: a\.b is empty/],
    ['blanks around a text', { 'a.b': 'B' }, { 'a.b': ' B' }, /^de: a\.b is empty or has blanks/],
    ['what is no text', { 'a.b': 'B' }, { 'a.b': { c: 'C' } }, /^de: a\.b is no text$/],
    ['HTML', { 'a.b': 'B' }, { 'a.b': 'B &amp; C' }, /^de: a\.b holds HTML$/],
    ['an unclosed argument', { 'a.b': 'B' }, { 'a.b': 'B {c' }, /^de: a\.b is no ICU message/],
    ['an unclosed tag', { 'a.b': 'B' }, { 'a.b': '<b>B' }, /^de: a\.b is no ICU message/],
    ['another argument', { 'a.b': '{c}' }, { 'a.b': '{d}' }, /^de: a\.b has the arguments d instead of c$/],
    ['a lost argument', { 'a.b': 'B {c}' }, { 'a.b': 'B' }, /has the arguments none instead of c$/],
    ['a lost tag', { 'a.b': 'B <b>c</b>' }, { 'a.b': 'B c' }, /has the tags none instead of b$/],
    [
      'a lost choice',
      { 'a.b': '{k, select, x {1} y {2} other {3}}' },
      { 'a.b': '{k, select, x {1} other {3}}' },
      /has the choices k=other\|x instead of k=other\|x\|y$/,
    ],
    [
      'a plural form that the language needs',
      { 'a.b': '{n, plural, one {1} other {n}}' },
      { 'a.b': '{n, plural, other {n}}' },
      /^de: a\.b lacks the plural forms one$/,
    ],
    [
      'a copy',
      { 'a.b': 'Enter your password' },
      { 'a.b': 'Enter your password' },
      /^de: a\.b is not translated$/,
    ],
  ];
  for (const [fault, en, de, line] of broken) {
    it(`finds ${fault}`, () => {
      const faults = faultsOf(en, de);

      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0] ?? '', line);
    });
  }

  it('finds a text that nobody says, and one that does not exist', () => {
    const texts = { 'a.b': 'B', 'a.kind.x': 'X', 'a.unused': 'U' };

    const faults = faultsOf(
      texts,
      texts,
      "t('a.b'); t(`a.kind.${kind}`); html('a.nothing'); t(`a.none.${x}`);",
    );

    assert.deepEqual(faults, [
      'src/a.ts says a.nothing, which does not exist',
      'src/a.ts says a.none.…, of which there is none',
      'a.unused is used nowhere',
    ]);
  });

  it('finds an error whose text is missing, differs from the code or belongs to none', () => {
    const code = [
      "const fail = defineErrors('door', {",
      "  closed: { status: 403, message: 'It is closed.' },",
      '  narrow: {',
      '    status: 403,',
      "    message: 'It is narrow.',",
      '  },',
      '});',
      "const other = defineErrors('window', {",
      "  shut: { status: 403, message: 'It is shut.' },",
      '});',
    ].join('\n');
    const texts = { 'errors.door.closed': 'Closed.', 'errors.door.gone': 'Gone.' };

    assert.deepEqual(faultsOf(texts, texts, code), [
      'errors.door.closed is “Closed.”, but the code says “It is closed.”',
      'errors.door.narrow is missing',
      'errors.door.gone is of no error',
    ]);
  });
});
