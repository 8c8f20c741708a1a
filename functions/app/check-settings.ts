import { errorText, log } from '../../shared/platform/log.ts';
import { readSettings, SettingsError } from '../../shared/platform/settings.ts';

/** Logs one clear line where a setting is missing or wrong. */
export function checkSettings(): void {
  try {
    readSettings();
  } catch (error) {
    // Every mistake is named, however many there are.
    log.error('app.settings', { error: error instanceof SettingsError ? error.message : errorText(error) });
  }
}
