import type { ServiceName } from '../catalogue.ts';
import type { ServiceFactory } from '../service.ts';
import { budgeting } from './budgeting.ts';
import { collections } from './collections.ts';
import { communication } from './communication.ts';
import { notification } from './notification.ts';
import { teaManagement } from './teaManagement.ts';
import { userManagement } from './userManagement.ts';

export const SERVICES: Readonly<Record<ServiceName, ServiceFactory>> = {
  userManagement,
  notification,
  teaManagement,
  communication,
  booking: () => collections('booking'),
  checkin: () => collections('checkin'),
  lostFound: () => collections('lostFound'),
  budgeting,
  fundRaising: () => collections('fundRaising'),
  sharing: () => collections('sharing'),
};
