//! What an image is made of.

use pitlane_model::ImageName;
use sha2::{Digest as _, Sha256};

use crate::config::RECIPE_USER;

/// The programs that make images, each with the Debian package that brings it.
pub const REQUIRED_PROGRAMS: [(&str, &str); 4] = [
    ("mmdebstrap", "mmdebstrap"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("unshare", "util-linux"),
];

/// Raised when the code that carries recipes out makes something else of the same recipe.
const GENERATION: &str = "1";

/// One image's making: everything that decides what is in it, beside Debian itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    name: &'static str,
    /// What mmdebstrap begins with: `apt` installs, `extract` only unpacks.
    pub(crate) variant: &'static str,
    packages: &'static str,
    excluded: &'static str,
    /// Files that the hooks find beside them, the hooks included.
    pub(crate) files: &'static [RecipeFile],
    /// Programs among the files, by the option of mmdebstrap that names when they run.
    pub(crate) hooks: &'static [(&'static str, &'static str)],
    /// Room for the image and the packages it is made of.
    pub(crate) needed_mib: u64,
}

/// A file of a recipe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecipeFile {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// The Debian release that images are made of.
pub(crate) const RELEASE: &str = "bookworm";

const RECIPES: [Recipe; 2] = [
    Recipe {
        name: "default",
        variant: "apt",
        packages: include_str!("../recipes/default/packages.txt"),
        excluded: include_str!("../recipes/default/excluded.txt"),
        files: &[
            RecipeFile { name: "absent.txt", text: include_str!("../recipes/default/absent.txt") },
            RecipeFile { name: "npm.txt", text: include_str!("../recipes/default/npm.txt") },
            RecipeFile { name: "prepare.sh", text: include_str!("../recipes/default/prepare.sh") },
            RecipeFile { name: "finish.sh", text: include_str!("../recipes/default/finish.sh") },
        ],
        hooks: &[("--essential-hook", "prepare.sh"), ("--customize-hook", "finish.sh")],
        needed_mib: 1536,
    },
    Recipe {
        name: "minimal",
        variant: "extract",
        packages: include_str!("../recipes/minimal/packages.txt"),
        excluded: include_str!("../recipes/minimal/excluded.txt"),
        files: &[
            RecipeFile { name: "setup.sh", text: include_str!("../recipes/minimal/setup.sh") },
            RecipeFile { name: "finish.sh", text: include_str!("../recipes/minimal/finish.sh") },
        ],
        hooks: &[("--setup-hook", "setup.sh"), ("--extract-hook", "finish.sh")],
        needed_mib: 256,
    },
];

impl Recipe {
    /// The recipe of that name.
    pub(crate) fn find(image: &ImageName) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.name == image.as_str())
    }

    /// The packages that are asked for.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &'static str> {
        lines(self.packages)
    }

    /// The options by which dpkg leaves files out, in the order in which they are tried.
    pub(crate) fn exclusions(&self) -> impl Iterator<Item = String> {
        lines(self.excluded).map(|line| match line.strip_prefix('+') {
            Some(included) => format!("path-include={included}"),
            None => format!("path-exclude={line}"),
        })
    }

    /// Sixteen hexadecimal digits that differ for recipes that differ.
    pub(crate) fn fingerprint(&self) -> String {
        let texts = [GENERATION, RELEASE, RECIPE_USER, self.name, self.variant];
        let texts = texts.into_iter().chain([self.packages, self.excluded]);
        let files = self.files.iter().flat_map(|file| [file.name, file.text]);
        let hooks = self.hooks.iter().flat_map(|(when, file)| [*when, *file]);
        let mut hash = Sha256::new();
        for text in texts.chain(files).chain(hooks) {
            // The length keeps what ends one text from being taken for the beginning of the next.
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The lines of a list that say something.
fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_more_makes_another_image() {
        let image = ImageName::new("default").expect("a legal name");
        let recipe = Recipe::find(&image).expect("a recipe");
        let other =
            Recipe { packages: "python3\n", files: recipe.files, hooks: recipe.hooks, ..*recipe };
        assert_ne!(recipe.fingerprint(), other.fingerprint());
        assert_eq!(recipe.fingerprint(), Recipe::find(&image).expect("a recipe").fingerprint());
        assert_eq!(recipe.fingerprint().len(), 16);
    }

    #[test]
    fn comments_and_empty_lines_are_no_packages() {
        assert_eq!(lines("# one\n\n two \nthree\n").collect::<Vec<_>>(), ["two", "three"]);
    }

    #[test]
    fn a_plus_brings_excluded_files_back() {
        let image = ImageName::new("minimal").expect("a legal name");
        let options: Vec<String> = Recipe::find(&image).expect("a recipe").exclusions().collect();
        assert_eq!(
            options,
            [
                "path-exclude=/usr/share/man/*",
                "path-exclude=/usr/share/info/*",
                "path-exclude=/usr/share/locale/*",
                "path-exclude=/usr/share/lintian/*",
                "path-exclude=/usr/share/doc/*",
                "path-include=/usr/share/doc/*/copyright",
            ]
        );
    }

    #[test]
    fn every_hook_is_a_file_of_its_recipe() {
        for recipe in &RECIPES {
            for (_when, hook) in recipe.hooks {
                assert!(recipe.files.iter().any(|file| file.name == *hook), "{hook}");
            }
        }
    }
}
