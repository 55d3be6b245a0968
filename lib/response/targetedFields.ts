/**
 * Fields that address certain caches in front of the gateway (RFC 9213, and proprietary ones). For such a cache the field
 * overrides `Cache-Control`.
 */
export const TARGETED_FIELDS = [
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'Netlify-CDN-Cache-Control',
  'Vercel-CDN-Cache-Control',
  'Edge-Control',
  'Surrogate-Control',
  'X-Accel-Expires',
  'X-LiteSpeed-Cache-Control',
] as const;
