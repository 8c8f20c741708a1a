import { app } from '@azure/functions';

// Mail of 150 MB is streamed in both directions.
app.setup({ enableHttpStream: true });

// A missing or wrong setting is one clear line at start, not at the first request.
app.hook.appStart(async () => {
  const { readSettings } = await import('../shared/platform/settings.ts');
  const { errorText, log } = await import('../shared/platform/log.ts');
  try {
    readSettings();
  } catch (error) {
    log.error('app.settings', { error: errorText(error) });
  }
});

import './account-delete.ts';
import './account-get.ts';
import './account-import.ts';
import './account-messages-send.ts';
import './account-put.ts';
import './account-run-get.ts';
import './account-runs-list.ts';
import './account-secret-put.ts';
import './account-status.ts';
import './account-verify.ts';
import './accounts-list.ts';
import './asset-attachment.ts';
import './asset-delete.ts';
import './asset-get.ts';
import './asset-mime.ts';
import './assets-list.ts';
import './health.ts';
import './health-key.ts';
import './import-schedule.ts';
import './mail-import.ts';
import './mail-send.ts';
import './message-cancel.ts';
import './message-get.ts';
import './messages-list.ts';
import './messages-send.ts';
import './outbox-recovery.ts';
import './retention.ts';
import './sweep.ts';
