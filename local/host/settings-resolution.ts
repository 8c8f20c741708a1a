/** App settings, found as .NET configuration finds them: letter case does not count, `:` and `__` are the same. */
export interface Settings {
  get(name: string): string | undefined;
  /** Settings whose name begins with `prefix` (letter case does not count), as [rest of the name, value]. */
  withPrefix(prefix: string): readonly (readonly [string, string])[];
}

/** More names than this in one text is a mistake; bounds the work. */
const MAX_NAMES = 100;

/** The settings of an environment, read at each call. */
export function createSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    get: (name) => {
      const exact = env[name];
      if (exact !== undefined) return exact;
      const wanted = fold(name);
      const key = Object.keys(env).find((candidate) => fold(candidate) === wanted);
      return key === undefined ? undefined : env[key];
    },
    withPrefix: (prefix) => {
      const wanted = fold(prefix);
      return Object.entries(env).flatMap(([key, value]) => {
        const folded = key.replaceAll('__', ':');
        return value !== undefined && folded.toLowerCase().startsWith(wanted)
          ? [[folded.slice(wanted.length), value] as const]
          : [];
      });
    },
  };
}

function fold(name: string): string {
  return name.replaceAll('__', ':').toLowerCase();
}

/**
 * Replaces every `%NAME%` by the setting's value, once (values are not resolved again).
 *
 * @throws when a setting is missing or empty: the function that needs it is in error.
 */
export function resolveSettings(text: string, settings: Settings): string {
  let count = 0;
  return text.replace(/%([^%]*)%/g, (_whole, name: string) => {
    count += 1;
    if (count > MAX_NAMES) throw new Error(`more than ${MAX_NAMES} %settings% in one text`);
    const value = settings.get(name);
    if (value === undefined || value === '') throw new Error(`'%${name}%' does not resolve to a value`);
    return value;
  });
}

/** True for the settings `true` and `1`, in any letter case. */
export function isOn(value: string | undefined): boolean {
  return value !== undefined && (value.toLowerCase() === 'true' || value === '1');
}
