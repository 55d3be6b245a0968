/** The two releases of the stack's registry, by how they are told of requests and trips. */
export const REGISTRY_FORMS = ['stack', 'document'] as const;
export type RegistryForm = (typeof REGISTRY_FORMS)[number];

export const DEFAULT_REGISTRY_FORM: RegistryForm = 'stack';

/** For people: what each of them is called with. */
export const REGISTRY_FORMS_HELP = `stack     as the stack's compose files start it:
          PUT /services/increment?id=<id>, DELETE /deregister?id=<host>
document  as the original gateway's document describes it:
          PUT /increment?service_id=<host>, DELETE /deregister?service_id=<host>`;
