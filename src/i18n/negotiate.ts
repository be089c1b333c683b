/** Which of our languages somebody means. What they send is not trusted to be short, sorted or sane. */

const MOST_CHARACTERS = 500;
const MOST_RANGES = 20;

/**
 * @param tag BCP 47, such as `de-AT`
 * @returns the language itself or that of which the tag names a variant (RFC 4647 §3.4)
 */
export function matchLocale(tag: string, locales: readonly string[]): string | undefined {
  let range = tag.slice(0, 35).toLowerCase().replaceAll('_', '-');
  while (range) {
    const found = locales.find((locale) => locale.toLowerCase() === range);
    if (found) return found;
    range = range.slice(0, Math.max(0, range.lastIndexOf('-')));
  }
  return undefined;
}

/** @param value of `ui_locales`, tags by preference (OpenID Connect Core §3.1.2.1) */
export function fromUiLocales(value: string, locales: readonly string[]): string | undefined {
  return firstMatch(value.slice(0, MOST_CHARACTERS).split(' ').slice(0, MOST_RANGES), locales);
}

/** @param header `Accept-Language` (RFC 9110 §12.5.4) */
export function fromAcceptLanguage(header: string, locales: readonly string[]): string | undefined {
  const ranges = header
    .slice(0, MOST_CHARACTERS)
    .split(',', MOST_RANGES)
    .map((range) => {
      const [tag = '', ...parameters] = range.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2);
      return { tag, weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0 && weight <= 1)
    .toSorted((a, b) => b.weight - a.weight);
  return firstMatch(
    ranges.map(({ tag }) => tag),
    locales,
  );
}

function firstMatch(tags: readonly string[], locales: readonly string[]): string | undefined {
  for (const tag of tags) {
    const found = matchLocale(tag, locales);
    if (found) return found;
  }
  return undefined;
}
