"""Calls every method of openstacksdk's load balancer proxy, with real objects.

Works as the clouds sandbox (a tenant) and sandbox-admin of clouds.yaml, on the subnet that is the first argument.
Whatever does not come back as it was sent ends it with a traceback.
"""

import sys

import openstack
from openstack import exceptions
from openstack.load_balancer.v2 import _proxy

# The two are those of all services.
METHODS = {name for name in vars(_proxy.Proxy) if not name.startswith("_")} - {"wait_for_status", "wait_for_delete"}
called = set()


class Noted:
    """A proxy that remembers which of its methods were called."""

    def __init__(self, cloud):
        self.proxy = openstack.connect(cloud=cloud).load_balancer

    def __getattr__(self, name):
        called.add(name)
        return getattr(self.proxy, name)


user, admin = Noted("sandbox"), Noted("sandbox-admin")


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def shows(obj, **want):
    for name, value in want.items():
        same(getattr(obj, name), value, f"{type(obj).__name__}.{name}")


def gone(get, *args):
    try:
        found = get(*args)
    except exceptions.ResourceNotFound:
        return
    raise AssertionError(f"{get.__name__}{args}: got {found}, want nothing")


def settle(lb, until="ACTIVE"):
    return user.wait_for_load_balancer(lb, status=until, interval=0.2, wait=60)


class Kind:
    """The six methods that most kinds of objects have. Those below a parent want it as their last argument."""

    def __init__(self, one, many=None, parent=None, by=user, lb=None):
        self.one, self.by, self.lb = one, by, lb
        self.many = many or one + "s"
        self.parent = [parent] if parent else []

    def call(self, verb, *args, **attrs):
        return getattr(self.by, f"{verb}_{self.one}")(*args, *self.parent, **attrs)

    def create(self, expect=None, **attrs):
        """Creates an object, and reads it in each way. expect says what is shown in another way than it is
        sent; None is not shown."""
        expect = expect or {}
        want = {k: v for k, v in (attrs | expect).items() if v is not None}
        made = self.call("create", **attrs)
        self.settle()
        shows(made, **want)
        shows(self.call("get", made.id), **want)
        shows(self.call("get", made), **want)
        for name in filter(None, (made.id, made.name)):
            shows(self.call("find", name), **want)
        self.want = want
        return made

    def list(self, want, **query):
        found = getattr(self.by, self.many)(*self.parent, **query)
        same([o.id or o.name for o in found], [o.id or o.name for o in want], f"{self.many}({query})")

    def update(self, obj, **attrs):
        """Changes an object; what is not named must stay as it is."""
        shows(self.call("update", obj.id, **attrs), **attrs)
        self.settle()
        self.want = self.want | attrs
        shows(self.call("get", obj.id), **self.want)

    def delete(self, obj):
        self.call("delete", obj.id, ignore_missing=False)
        self.settle()
        gone(self.call, "get", obj.id)
        same(self.call("find", obj.id), None, f"find_{self.one} after delete")
        self.call("delete", obj.id)

    def settle(self):
        if self.lb:
            settle(self.lb)


def load_balancer(subnet):
    kind = Kind("load_balancer")
    lb = kind.create(
        name="sdk", description="first", vip_subnet_id=subnet, provider="amphora", is_admin_state_up=True,
        tags=["one", "two"],
    )
    settle(lb.id)
    kind.lb = lb.id
    shows(user.get_load_balancer(lb.id), provisioning_status="ACTIVE", listeners=[], pools=[])
    for query in (
        {"name": "sdk"}, {"description": "first"}, {"vip_subnet_id": subnet}, {"vip_address": lb.vip_address},
        {"vip_port_id": lb.vip_port_id}, {"tags": "one"}, {"any_tags": "two,three"}, {"not_tags": "three"},
        {"is_admin_state_up": True}, {"provisioning_status": "ACTIVE"}, {"provider": "amphora"},
    ):
        kind.list([lb], **query)
    kind.list([], name="other")
    kind.list([], not_any_tags="one")
    kind.update(lb, name="new", description="", tags=["three"], is_admin_state_up=False)
    kind.update(lb, name="sdk", is_admin_state_up=True)
    shows(user.get_load_balancer_statistics(lb.id), active_connections=0, bytes_in=0, bytes_out=0,
          request_errors=0, total_connections=0)
    return lb


def listener(lb):
    kind = Kind("listener", lb=lb.id)
    http = kind.create(
        expect={"load_balancer_id": None, "load_balancers": [{"id": lb.id}]},
        name="http", description="first", load_balancer_id=lb.id, protocol="HTTP", protocol_port=80, connection_limit=5,
        allowed_cidrs=["10.0.0.0/8", "192.168.0.0/16"], insert_headers={"X-Forwarded-For": "true"},
        timeout_client_data=1000, timeout_member_connect=2000, timeout_member_data=3000, timeout_tcp_inspect=4,
        is_admin_state_up=True, tags=["one"],
    )
    others = [user.create_listener(load_balancer_id=lb.id, protocol="TCP", protocol_port=p) for p in (81, 82)]
    settle(lb.id)
    for query in (
        {"name": "http"}, {"protocol": "HTTP"}, {"protocol_port": 80}, {"load_balancer_id": lb.id, "connection_limit": 5},
        {"tags": "one"}, {"timeout_client_data": 1000}, {"is_admin_state_up": True, "description": "first"},
    ):
        kind.list([http], **query)
    # A page at a time.
    same({o.id for o in user.listeners(load_balancer_id=lb.id, limit=1)}, {o.id for o in [http, *others]}, "pages")
    kind.update(
        http, name="web", description="", connection_limit=-1, allowed_cidrs=["10.1.0.0/16"], insert_headers={},
        timeout_client_data=5000, is_admin_state_up=False, tags=[], tls_versions=["TLSv1.3"],
        tls_ciphers="ECDHE-RSA-AES128-GCM-SHA256", alpn_protocols=["http/1.1"],
    )
    kind.update(http, is_admin_state_up=True)
    shows(user.get_listener_statistics(http.id), active_connections=0, bytes_in=0, bytes_out=0, request_errors=0,
          total_connections=0)
    for other in others:
        kind.delete(other)
    return kind, http


def pool(lb, http):
    kind = Kind("pool", lb=lb.id)
    made = kind.create(
        expect={"listener_id": None, "listeners": [{"id": http.id}], "loadbalancers": [{"id": lb.id}]},
        name="pool", description="first", listener_id=http.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN",
        is_admin_state_up=True, tls_enabled=True, tls_versions=["TLSv1.2"], tls_ciphers="ECDHE-RSA-AES128-GCM-SHA256",
        alpn_protocols=["http/1.1"], tags=["one"],
    )
    shows(user.get_listener(http.id), default_pool_id=made.id)
    for query in ({"name": "pool"}, {"loadbalancer_id": lb.id}, {"lb_algorithm": "ROUND_ROBIN"}, {"protocol": "HTTP"}):
        kind.list([made], **query)
    kind.update(made, name="servers", description="", lb_algorithm="LEAST_CONNECTIONS", tls_enabled=False, tags=["two"])
    kind.update(made, is_admin_state_up=False)
    user.update_pool(made.id, session_persistence={"type": "APP_COOKIE", "cookie_name": "monster"})
    settle(lb.id)
    persistence = user.get_pool(made.id).session_persistence
    same((persistence["type"], persistence["cookie_name"]), ("APP_COOKIE", "monster"), "session_persistence")
    user.update_pool(made.id, session_persistence=None)
    settle(lb.id)
    shows(user.get_pool(made.id), session_persistence=None)
    return kind, made


def member(lb, pool, subnet):
    kind = Kind("member", parent=pool.id, lb=lb.id)
    made = kind.create(
        name="one", address="192.0.2.10", protocol_port=80, subnet_id=subnet, weight=5, backup=True,
        monitor_address="192.0.2.11", monitor_port=81, is_admin_state_up=True, tags=["one"],
    )
    other = user.create_member(pool.id, address="192.0.2.11", protocol_port=80)
    shows(other, name="", weight=1, backup=False, subnet_id=None, monitor_port=None)
    settle(lb.id)
    for query in ({"name": "one"}, {"address": "192.0.2.10"}, {"weight": 5}, {"backup": True}, {"subnet_id": subnet}):
        kind.list([made], **query)
    same({m["id"] for m in user.get_pool(pool.id).members}, {made.id, other.id}, "members of the pool")
    kind.update(made, name="two", weight=0, backup=False, monitor_port=82, is_admin_state_up=False, tags=[])
    kind.delete(other)
    kind.delete(made)


def health_monitor(lb, pool):
    kind = Kind("health_monitor", lb=lb.id)
    made = kind.create(
        expect={"pool_id": None, "pools": [{"id": pool.id}]},
        name="alive", pool_id=pool.id, type="HTTP", delay=5, timeout=4, max_retries=3, max_retries_down=2,
        http_method="HEAD", url_path="/alive", expected_codes="200,204", is_admin_state_up=True, tags=["one"],
    )
    shows(user.get_pool(pool.id), health_monitor_id=made.id)
    for query in ({"name": "alive"}, {"pool_id": pool.id}, {"type": "HTTP"}, {"delay": 5}, {"url_path": "/alive"}):
        kind.list([made], **query)
    kind.update(made, name="well", delay=7, timeout=6, max_retries=4, max_retries_down=5, http_method="GET",
                url_path="/", expected_codes="200", is_admin_state_up=False, tags=["two"])
    kind.delete(made)


def l7(lb, http, pool):
    kind = Kind("l7_policy", "l7_policies", lb=lb.id)
    made = kind.create(
        name="away", description="first", listener_id=http.id, action="REDIRECT_TO_URL", position=1,
        redirect_url="http://example.com/", is_admin_state_up=True, tags=["one"],
    )
    for query in ({"name": "away"}, {"listener_id": http.id}, {"action": "REDIRECT_TO_URL"}, {"position": 1}):
        kind.list([made], **query)
    kind.want = kind.want | {"redirect_url": None}
    kind.update(made, name="here", description="", action="REDIRECT_TO_POOL", redirect_pool_id=pool.id, tags=[])
    shows(user.get_listener(http.id), l7_policies=[{"id": made.id}])
    l7_rule(lb, made)
    kind.delete(made)


def l7_rule(lb, policy):
    kind = Kind("l7_rule", parent=policy.id, lb=lb.id)
    made = kind.create(type="HEADER", compare_type="EQUAL_TO", key="X-Colour", rule_value="blue", invert=True,
                       is_admin_state_up=True, tags=["one"])
    for query in ({"type": "HEADER"}, {"key": "X-Colour"}, {"compare_type": "EQUAL_TO"}, {"invert": True}):
        kind.list([made], **query)
    shows(user.get_l7_policy(policy.id), rules=[{"id": made.id}])
    kind.update(made, type="COOKIE", compare_type="STARTS_WITH", key="taste", rule_value="sweet", invert=False, tags=[])
    kind.delete(made)


def quota():
    project = openstack.connect(cloud="sandbox-other").current_project_id
    default = admin.get_quota_default()
    limits = ("load_balancers", "listeners", "pools", "health_monitors", "members")
    shows(admin.get_quota(project), **{name: getattr(default, name) for name in limits})
    want = {name: 12345 + i for i, name in enumerate(limits)}
    shows(admin.update_quota(project, **want), **want)
    shows(admin.get_quota(project), **want)
    mine = [q for q in admin.quotas() if q.project_id == project]
    same(len(mine), 1, "quotas of the project")
    shows(mine[0], **want)
    for q in admin.quotas():
        shows(admin.update_quota(q, members=67890), members=67890)
    admin.delete_quota(project, ignore_missing=False)
    shows(admin.get_quota(project), **{name: getattr(default, name) for name in limits})


def provider():
    names = [p.name for p in user.providers()]
    if "amphora" not in names:
        raise AssertionError(f"providers: {names}")
    capabilities = {c.name: c.description for c in admin.provider_flavor_capabilities("amphora")}
    if not capabilities.get("loadbalancer_topology"):
        raise AssertionError(f"capabilities: {capabilities}")


def flavor(subnet):
    profiles = Kind("flavor_profile", by=admin)
    profile = profiles.create(name="profile", provider_name="amphora", flavor_data='{"loadbalancer_topology": "SINGLE"}')
    for query in ({"name": "profile"}, {"provider_name": "amphora", "id": profile.id}):
        profiles.list([profile], **query)
    profiles.update(profile, name="other", flavor_data='{"loadbalancer_topology":"SINGLE"}')
    flavors = Kind("flavor", by=admin)
    made = flavors.create(name="small", description="first", flavor_profile_id=profile.id, is_enabled=True)
    for query in ({"name": "small"}, {"flavor_profile_id": profile.id}, {"is_enabled": True, "id": made.id}):
        flavors.list([made], **query)
    lb = user.create_load_balancer(name="flavored", vip_subnet_id=subnet, flavor_id=made.id)
    shows(lb, flavor_id=made.id)
    remove(lb)
    flavors.update(made, name="tiny", description="", is_enabled=False)
    flavors.delete(made)
    profiles.delete(profile)


def availability_zone(subnet):
    profiles = Kind("availability_zone_profile", by=admin)
    profile = profiles.create(name="profile", provider_name="amphora", availability_zone_data='{"compute_zone": "nova"}')
    for query in ({"name": "profile"}, {"provider_name": "amphora", "id": profile.id}):
        profiles.list([profile], **query)
    profiles.update(profile, name="other")
    zones = ZoneKind("availability_zone", by=admin)
    made = zones.create(name="zone", description="first", availability_zone_profile_id=profile.id, is_enabled=True)
    for query in ({"name": "zone"}, {"availability_zone_profile_id": profile.id}, {"is_enabled": True}):
        zones.list([made], **query)
    lb = user.create_load_balancer(name="zoned", vip_subnet_id=subnet, availability_zone="zone")
    shows(lb, availability_zone="zone")
    remove(lb)
    zones.update(made, description="", is_enabled=False)
    zones.delete(made)
    profiles.delete(profile)


class ZoneKind(Kind):
    """Availability zones have no id: what others are found by is None, or an object that the SDK cannot find."""

    def call(self, verb, *args, **attrs):
        args = [a if isinstance(a, str) else "zone" for a in args]
        return super().call(verb, *args, **attrs)


def amphora(lb):
    found = list(admin.amphorae(loadbalancer_id=lb.id))
    same(len(found), 1, "amphorae of the load balancer")
    shows(found[0], loadbalancer_id=lb.id, role="STANDALONE", status="ALLOCATED", cert_busy=False)
    shows(admin.get_amphora(found[0].id), id=found[0].id, compute_id=found[0].compute_id)
    shows(admin.find_amphora(found[0].id), id=found[0].id)
    admin.configure_amphora(found[0].id)
    settle(lb.id)
    admin.failover_amphora(found[0].id)
    settle(lb.id)
    admin.failover_load_balancer(lb.id)
    settle(lb.id)


def remove(lb):
    """Waits, deletes with all that is below, and waits again."""
    settle(lb.id)
    user.delete_load_balancer(lb.id, cascade=True)
    try:
        settle(lb.id, until="DELETED")
    except exceptions.ResourceNotFound:
        pass
    same(user.find_load_balancer(lb.id), None, "load balancer after delete")


def main(subnet):
    lb = load_balancer(subnet)
    listeners, http = listener(lb)
    pools, servers = pool(lb, http)
    member(lb, servers, subnet)
    health_monitor(lb, servers)
    l7(lb, http, servers)
    amphora(lb)
    pools.delete(servers)
    listeners.delete(http)
    remove(lb)
    quota()
    provider()
    flavor(subnet)
    availability_zone(subnet)
    same(sorted(METHODS - called), [], "methods of the proxy that were not called")


main(sys.argv[1])
