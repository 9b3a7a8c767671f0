//! Cookies of previews: ours, which opens one, and those of applications, which stay in theirs.

use std::time::Duration;

use pitlane_model::SandboxId;

use super::place::Place;

/// What the name of a cookie that opens a preview begins with.
const OWN: &str = "daytona-sandbox-auth-";

/// The tokens in the cookies of a request that open this sandbox. A page can set further cookies of this name, so that
/// there may be several.
pub(super) fn tokens(header: &str, sandbox: SandboxId) -> impl Iterator<Item = String> {
    let wanted = name(sandbox);
    pairs(header).filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == wanted).then(|| value.trim().to_owned())
    })
}

/// The cookies of a request that are the application's; `None` if there are none.
pub(super) fn inside(header: &str) -> Option<String> {
    let others: Vec<&str> =
        pairs(header).filter(|pair| !is_own(pair.split('=').next().unwrap_or_default())).collect();
    (!others.is_empty()).then(|| others.join("; "))
}

/// The cookie that goes on opening a preview: for its path alone, no longer than its token, out of reach of pages.
pub(super) fn opening(
    place: &Place,
    sandbox: SandboxId,
    token: &str,
    time_left: Option<Duration>,
) -> String {
    let age = time_left.map_or_else(String::new, |left| format!("; Max-Age={}", left.as_secs()));
    let secure = if place.is_encrypted() { "; Secure" } else { "" };
    format!(
        "{}={token}; Path={}/; HttpOnly; SameSite=Lax{secure}{age}",
        name(sandbox),
        place.prefix()
    )
}

/// A cookie that an application sets, kept to its preview's path; `None` for one that could be taken for ours.
pub(super) fn outside(place: &Place, cookie: &str) -> Option<String> {
    let mut parts = cookie.split(';');
    let pair = parts.next().unwrap_or_default();
    if is_own(pair.split('=').next().unwrap_or_default()) {
        return None;
    }
    let mut path = None;
    let mut kept = vec![pair.trim()];
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("path") {
            // Of several the last counts.
            path = place.cookie_path(value);
        } else if !name.eq_ignore_ascii_case("domain") {
            kept.push(part.trim());
        }
    }
    // Without a path of its own it would be set for the folder of what was asked for, as the application expects.
    let path = path.map_or_else(String::new, |path| format!("; Path={path}"));
    Some(format!("{}{path}", kept.join("; ")))
}

fn name(sandbox: SandboxId) -> String {
    format!("{OWN}{sandbox}")
}

fn is_own(name: &str) -> bool {
    name.trim().get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN))
}

fn pairs(header: &str) -> impl Iterator<Item = &str> {
    header.split(';').map(str::trim).filter(|pair| !pair.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::target::Target;
    use super::*;
    use crate::address::Origin;

    const PREFIX: &str = "/toolbox/abababab-abab-4bab-abab-abababababab/proxy/3000";

    fn place(origin: &str) -> Place {
        let target = Target::of(&format!("{PREFIX}/").parse().unwrap()).unwrap().unwrap();
        Place::of(&Origin(origin.to_owned()), &target)
    }

    #[test]
    fn the_cookie_that_opens_is_for_one_path_and_no_longer_than_its_token() {
        let id = SandboxId::from_random([0xab; 16]);
        let name = format!("daytona-sandbox-auth-{id}");
        let left = Some(Duration::from_millis(59_900));
        assert_eq!(
            opening(&place("https://pit.example"), id, "t", left),
            format!("{name}=t; Path={PREFIX}/; HttpOnly; SameSite=Lax; Secure; Max-Age=59")
        );
        assert_eq!(
            opening(&place("http://h:1"), id, "t", None),
            format!("{name}=t; Path={PREFIX}/; HttpOnly; SameSite=Lax")
        );
        let sent = format!("a=b; {name}=one;{name}=two; {name}x=three");
        assert_eq!(tokens(&sent, id).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(inside(&sent).as_deref(), Some("a=b"));
        assert_eq!(inside(&format!("{name}=one; DAYTONA-sandbox-AUTH-x=2")), None);
    }

    #[test]
    fn an_application_sets_cookies_for_its_own_path_alone() {
        for (cookie, wanted) in [
            ("a=b", Some("a=b".to_owned())),
            ("a=b; Path=/", Some(format!("a=b; Path={PREFIX}/"))),
            ("a=b; Path=/x; Secure", Some(format!("a=b; Secure; Path={PREFIX}/x"))),
            ("a=b; path = /x;PATH=/y", Some(format!("a=b; Path={PREFIX}/y"))),
            ("a=b; Path=/x; Path=", Some("a=b".to_owned())),
            ("a=b; Path=x", Some("a=b".to_owned())),
            ("a=b; Domain=pit.example; HttpOnly", Some("a=b; HttpOnly".to_owned())),
            ("a=b; Max-Age=0; SameSite=None", Some("a=b; Max-Age=0; SameSite=None".to_owned())),
            ("daytona-sandbox-auth-x=s; Path=/", None),
            (" Daytona-Sandbox-Auth-x=s", None),
            (
                "a=\"b=c\"; Path=/toolbox/other/",
                Some(format!("a=\"b=c\"; Path={PREFIX}/toolbox/other/")),
            ),
        ] {
            assert_eq!(outside(&place("http://h"), cookie), wanted, "{cookie}");
        }
        let own = format!("a=b; Path={PREFIX}/x");
        assert_eq!(outside(&place("http://h"), &own), Some(own.clone()));
    }
}
