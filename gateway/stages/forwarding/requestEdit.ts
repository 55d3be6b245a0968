import { FieldEdit } from '../../../lib/headers/fieldEdit.ts';
import type { ServiceParts } from '../../wiring/parts.ts';

/** The changes of `headers.request`; undefined where none are set. */
export function requestEditOf({ settings: { requestRules } }: ServiceParts): FieldEdit | undefined {
  return requestRules && new FieldEdit(requestRules);
}
