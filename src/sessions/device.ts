import Bowser from 'bowser';

/** What a browser says it is: good enough for people to recognize their own, and proof of nothing. */
export interface Device {
  /** Such as `Firefox`; null when it does not say. */
  browser: string | null;
  /** Such as `Windows`. */
  os: string | null;
  kind: 'desktop' | 'mobile' | 'tablet' | 'other';
}

/** The patterns of the parser are many and the text is a stranger's. */
const MOST_READ = 512;
const MOST_KEPT = 60;

export function describeDevice(userAgent: string | undefined): Device {
  // The parser throws at an empty one.
  const text = userAgent?.slice(0, MOST_READ).trim();
  if (!text) return { browser: null, os: null, kind: 'other' };
  const { browser, os, platform } = Bowser.parse(text);
  return { browser: nameOf(browser.name), os: nameOf(os.name), kind: kindOf(platform.type) };
}

function nameOf(name: string | undefined): string | null {
  return name?.replaceAll('\0', '').slice(0, MOST_KEPT).toWellFormed() || null;
}

function kindOf(type: string | undefined): Device['kind'] {
  return type === 'desktop' || type === 'mobile' || type === 'tablet' ? type : 'other';
}
